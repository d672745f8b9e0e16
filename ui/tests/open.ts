// Opens the whole window on a scene, as a person meets it, with the fixture in the engine's place.

import { render } from '@testing-library/svelte';
import App from '../src/app/App.svelte';
import { FixtureClient } from '../src/ipc/fixture/client';
import { SCENES, scene, type Scene } from '../src/ipc/fixture/scenes';
import { Mirror } from '../src/ipc/mirror.svelte';

export type Opened = { client: FixtureClient; mirror: Mirror; calls: (command: string) => unknown[] };

/** A scene by its name, or one made here. */
export async function open(told: string | Scene, at?: string): Promise<Opened> {
  const tells = typeof told === 'string' ? scene(told) : told;
  location.hash = at ?? (typeof told === 'string' ? (SCENES[told]?.at ?? '#/') : '#/');
  const client = new FixtureClient(tells);
  const mirror = new Mirror(client);
  await mirror.start();
  render(App, { mirror });
  const calls = (command: string) =>
    client.called.filter((it) => it.command === command).map((it) => it.argument);
  return { client, mirror, calls };
}
