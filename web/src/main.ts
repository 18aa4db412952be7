import { mount } from 'svelte';
import './lib/app/install.svelte';
import App from './App.svelte';
import { idleLock } from './lib/app/idleLock.svelte';
import './tokens.css';
import './base.css';

idleLock.watch();
mount(App, { target: document.getElementById('app')! });
