// Who is who: the names this browser knows for the ids of people in the roster.

import { loadPeople, savePeople } from '../device/store';
import { session } from './session.svelte';
import { short } from './history';

class People {
  private invited: Record<string, string> = $state.raw({});

  async load(): Promise<void> {
    this.invited = await loadPeople();
  }

  get names(): Record<string, string> {
    const { me } = session;
    return me ? { ...this.invited, [me.person]: me.person_name } : this.invited;
  }

  name(person: string): string {
    if (person === session.me?.person) return `${session.me.person_name} (you)`;
    return this.invited[person] ?? short(person);
  }

  async remember(person: string, name: string): Promise<void> {
    this.invited = { ...(await loadPeople()), [person]: name };
    await savePeople(this.invited);
  }
}

export const people = new People();
