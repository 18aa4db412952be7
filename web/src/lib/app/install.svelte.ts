// Installing the app, where the browser offers it. There is no service worker: pictures need the network, and one would keep
// a page alive that the server has long replaced.

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

class Install {
  private offer: InstallPrompt | null = $state.raw(null);

  constructor() {
    addEventListener('beforeinstallprompt', (event) => {
      event.preventDefault();
      this.offer = event as InstallPrompt;
    });
    addEventListener('appinstalled', () => (this.offer = null));
  }

  get possible(): boolean {
    return this.offer !== null;
  }

  async ask(): Promise<void> {
    const { offer } = this;
    this.offer = null;
    await offer?.prompt();
  }
}

export const install = new Install();
