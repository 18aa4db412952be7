// The enrolment of a remote gateway that this page has begun. Its secret lives here alone, in memory, so that walking to another page and
// back does not lose it; a reload does, and then a new code is made.

import { newEnrolment, type Enrolment } from '../seal/enrolment';
import type { Gateway } from '../seal/statements';
import { acceptGateway, connected, enrolling } from './actions';
import type { Organisation } from './organisation.svelte';

class Enrolling {
  code: string | null = $state(null);
  found: Gateway | null = $state.raw(null);
  private enrolment: Enrolment | null = null;

  async begin(caSha256: string, anchor: string): Promise<void> {
    const made = await newEnrolment(caSha256, anchor);
    this.enrolment = made;
    this.found = null;
    this.code = made.code;
  }

  async look(): Promise<void> {
    if (this.enrolment && !this.found) this.found = await enrolling(this.enrolment);
  }

  async accept(organisation: Organisation): Promise<void> {
    await acceptGateway(organisation, this.enrolment!, this.found!);
    await connected(this.found!.id);
    this.end();
  }

  end(): void {
    this.enrolment?.secret.fill(0);
    this.enrolment = this.code = this.found = null;
  }
}

export const enrolment = new Enrolling();
