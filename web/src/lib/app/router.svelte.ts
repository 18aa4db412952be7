// Paths of the app on the History API. Links are plain links; a click on one that stays inside is taken over here.

class Router {
  path = $state(location.pathname);
  /** With what follows it: another moment of the same camera is another page. */
  address = $state(location.pathname + location.search);

  constructor() {
    addEventListener('popstate', () => this.look());
    document.addEventListener('click', (event) => this.click(event));
  }

  go(path: string, replace = false): void {
    if (replace) history.replaceState(null, '', path);
    else history.pushState(null, '', path);
    this.look();
    scrollTo(0, 0);
  }

  private look(): void {
    this.path = location.pathname;
    this.address = location.pathname + location.search;
  }

  private click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.origin !== location.origin || link.hasAttribute('download') || link.target || link.hash) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const router = new Router();
