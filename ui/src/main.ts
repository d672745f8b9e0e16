import '@fontsource-variable/atkinson-hyperlegible-next';
import './kit/tokens.css';
import './kit/base.css';
import { client } from '$client';
import { mount } from 'svelte';
import App from './app/App.svelte';
import { Mirror } from './ipc/mirror.svelte';

const mirror = new Mirror(client);
void mirror.start();
const target = document.getElementById('app');
if (target) mount(App, { target, props: { mirror } });
