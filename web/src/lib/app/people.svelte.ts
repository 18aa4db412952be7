// Who is who: the names of people. Those whom this browser invited it remembers itself; of others an administrator's browser takes the server's word.

import { get } from '../api/client';
import type { PersonListing } from '../api/types';
import { loadPeople, savePeople } from '../device/store';
import { session } from './session.svelte';
import { short } from './history';

class People {
  private invited: Record<string, string> = $state.raw({});
  /** Who has an account; empty for all but administrators. */
  accounts: PersonListing[] = $state.raw([]);
  private readonly told: Record<string, string> = $derived(Object.fromEntries(this.accounts.map(({ person, name }) => [person, name])));

  async load(): Promise<void> {
    this.invited = await loadPeople();
    if (!session.me?.administrator) return;
    // Without them, ids stand for names.
    this.accounts = await get<{ people: PersonListing[] }>('/api/v1/people').then((listed) => listed.people, () => this.accounts);
  }

  get names(): Record<string, string> {
    const { me } = session;
    return { ...this.told, ...this.invited, ...(me && { [me.person]: me.person_name }) };
  }

  /** Nobody but the server says that they are called so. */
  isTold(person: string): boolean {
    return this.invited[person] === undefined && this.told[person] !== undefined && person !== session.me?.person;
  }

  name(person: string): string {
    if (person === session.me?.person) return `${session.me.person_name} (you)`;
    return this.invited[person] ?? this.told[person] ?? short(person);
  }

  async remember(person: string, name: string): Promise<void> {
    this.invited = { ...(await loadPeople()), [person]: name };
    await savePeople(this.invited);
  }
}

export const people = new People();
