// One question to the engine and how it stands: its last answer stays while a newer one is awaited.

import type { ErrorView } from './bindings';
import { asErrorView } from './contract';

/** Nothing new for this long: plain blocks appear. */
const SLOW_MS = 400;
/** And after this long a sentence names what is waited for. */
const VERY_SLOW_MS = 10_000;

export class Asked<T> {
  value = $state.raw<T>();
  refusal = $state.raw<ErrorView>();
  isBusy = $state(false);
  wait = $state<'none' | 'slow' | 'very_slow'>('none');
  #turn = 0;

  async ask(question: () => Promise<T>): Promise<T | undefined> {
    const turn = ++this.#turn;
    this.isBusy = true;
    this.refusal = undefined;
    this.wait = 'none';
    const timers = [
      setTimeout(() => (this.wait = 'slow'), SLOW_MS),
      setTimeout(() => (this.wait = 'very_slow'), VERY_SLOW_MS),
    ];
    try {
      const value = await question();
      // A later question has been asked since: its answer counts.
      if (turn !== this.#turn) return undefined;
      this.value = value;
      return value;
    } catch (reason) {
      if (turn === this.#turn) this.refusal = asErrorView(reason);
      return undefined;
    } finally {
      timers.forEach(clearTimeout);
      if (turn === this.#turn) {
        this.isBusy = false;
        this.wait = 'none';
      }
    }
  }
}
