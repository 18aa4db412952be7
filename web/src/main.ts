import { mount } from 'svelte';
import languages from 'virtual:languages/app';
import './lib/app/install.svelte';
import App from './App.svelte';
import { idleLock } from './lib/app/idleLock.svelte';
import { language } from './lib/app/language.svelte';
import { saveLanguage } from './lib/device/store';
import { changed } from './lib/say';
import './tokens.css';
import './base.css';

idleLock.watch();
// A browser that keeps nothing tells of events in its own language.
changed.add((spoken) => void saveLanguage(spoken.language).catch(() => undefined));
void language.start(languages).then(() => mount(App, { target: document.getElementById('app')! }));
