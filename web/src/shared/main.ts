// The page of somebody without an account who was given a link. It shares no session, key or store with the app, but for
// the language that was chosen in this browser.
import { mount } from 'svelte';
import languages from 'virtual:languages/shared';
import { language } from '../lib/app/language.svelte';
import Shared from './Shared.svelte';
import '../tokens.css';
import '../base.css';

void language.start(languages).then(() => mount(Shared, { target: document.getElementById('app')! }));
