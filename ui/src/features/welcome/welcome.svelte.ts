// How a first application comes in. Nothing is changed until it is taken.

import type { Discovered, ErrorView } from '../../ipc/bindings';
import { asErrorView } from '../../ipc/contract';
import type { Mirror } from '../../ipc/mirror.svelte';
import { go } from '../../kit/go';
import { m } from '../../paraglide/messages.js';
import { count } from '../../words/format';

type Way = 'find' | 'folder' | 'sample';

export class WelcomeStore {
  busy = $state<Way>();
  found = $state.raw<Discovered[]>([]);
  nothingFound = $state<string>();
  chosen = $state.raw<Discovered>();
  refusal = $state.raw<ErrorView>();
  #last: Way = 'find';

  constructor(readonly mirror: Mirror) {}

  find = () =>
    this.#busy('find', async () => {
      const { found, projects, folders } = await this.mirror.client.call('find_applications');
      this.found = found;
      if (found.length === 0)
        this.nothingFound = m.none_text({ projects: count(projects), folders: count(folders) });
    });

  choose = () =>
    this.#busy('folder', async () => {
      const found = await this.mirror.guard(() => this.mirror.client.call('choose_folder'));
      if (found) this.found = [found, ...this.found.filter((it) => it.token !== found.token)];
    });

  sample = () =>
    this.#busy('sample', async () => {
      const card = await this.mirror.guard(() => this.mirror.client.call('start_sample'));
      if (!card) return;
      this.mirror.takeCard(card);
      go();
    });

  again(): void {
    const ways = { find: this.find, folder: this.choose, sample: this.sample };
    void ways[this.#last]();
  }
  take(found: Discovered): void {
    this.chosen = found;
  }
  drop(found: Discovered): void {
    this.found = this.found.filter((it) => it !== found);
  }
  leave(): void {
    this.chosen = undefined;
  }

  async add(found: Discovered, title: string, autostart: boolean, nightly: boolean): Promise<void> {
    const card = await this.mirror.guard(() =>
      this.mirror.client.call('add_installation', {
        token: found.token,
        title,
        autostart,
        nightly_backup: nightly,
      }),
    );
    if (!card) return;
    this.mirror.takeCard(card);
    go();
  }

  async #busy(way: Way, act: () => Promise<void>): Promise<void> {
    this.#last = way;
    this.busy = way;
    this.refusal = undefined;
    this.nothingFound = undefined;
    try {
      await act();
    } catch (reason) {
      this.refusal = asErrorView(reason);
    } finally {
      this.busy = undefined;
    }
  }
}
