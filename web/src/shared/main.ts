// The page of somebody without an account who was given a link. It shares no session, key or store with the app.
import { mount } from 'svelte';
import Shared from './Shared.svelte';
import '../tokens.css';
import '../base.css';

mount(Shared, { target: document.getElementById('app')! });
