// A code that something needs while it runs: whoever asks waits, and the dialogue (ui/CodePrompt) answers.

class Asked {
  waiting: { problem: string | null; answer: (code: string | null) => void } | null = $state.raw(null);

  /** Six digits; throws if the person turns away. */
  async code(problem: string | null): Promise<string> {
    this.waiting?.answer(null);
    const code = await new Promise<string | null>((answer) => (this.waiting = { problem, answer }));
    this.waiting = null;
    if (code === null) throw new Error('Nothing was confirmed, and nothing has changed.');
    return code;
  }
}

export const asked = new Asked();
