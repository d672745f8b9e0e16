// What Progress and Result show. The engine owns the truth; this only mirrors it.

import { Asked } from '../../ipc/asked.svelte';
import type { ConfirmView, ErrorView, LogLine, UpgradeView } from '../../ipc/bindings';
import { asErrorView } from '../../ipc/contract';
import type { Mirror } from '../../ipc/mirror.svelte';
import { go } from '../../kit/go';
import { isFinal } from '../../words/phases';

const LOG_EVERY_MS = 1000;

export class UpgradeStore {
  readonly asked = new Asked<UpgradeView>();
  readonly plan = new Asked<ConfirmView>();
  readonly view = $derived.by(() => this.mirror.upgrades.get(this.id));
  readonly isOver = $derived(this.view !== undefined && isFinal(this.view.state));
  log = $state.raw<LogLine[]>([]);
  refusal = $state.raw<ErrorView>();
  saved = $state<string>();
  isStopping = $state(false);

  constructor(
    readonly mirror: Mirror,
    readonly id: string,
  ) {}

  async load(): Promise<void> {
    const view = await this.asked.ask(() => this.mirror.client.call('upgrade', { id: this.id }));
    if (view) this.mirror.takeUpgrade(view);
  }

  /** Reads on while the log is open; answers how to stop. */
  followLog(): () => void {
    let isOpen = true;
    const read = async () => {
      const after = this.log.at(-1)?.seq ?? '0';
      try {
        const more = await this.mirror.client.call('upgrade_log', { id: this.id, after });
        if (more.length > 0) this.log = [...this.log, ...more];
      } catch (reason) {
        this.refusal = asErrorView(reason);
        return;
      }
      if (isOpen && !this.isOver) setTimeout(() => void read(), LOG_EVERY_MS);
    };
    void read();
    return () => (isOpen = false);
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await this.tried(() => this.mirror.client.call('cancel', { id: this.id }));
    this.isStopping = false;
  }
  answer = (goOn: boolean) =>
    this.tried(() => this.mirror.client.call('answer', { id: this.id, go_on: goOn }));

  async retry(): Promise<void> {
    const view = await this.tried(() => this.mirror.client.call('retry', { id: this.id }));
    if (view) go('app', view.installation, 'upgrade', view.upgrade_id);
  }

  /** What could not be brought back is tried once more; what users have entered since is never given up here. */
  bringBackAgain = () =>
    this.tried(() =>
      this.mirror.client.call('rollback', { name: this.view?.installation ?? '', accept_loss: false }),
    );
  /** Someone has done the steps: the engine looks whether it runs well. */
  settle = () => this.tried(() => this.mirror.client.call('settle', { id: this.id }));

  async acknowledge(): Promise<void> {
    const view = await this.plainly(() => this.mirror.client.call('acknowledge', { id: this.id }));
    if (!view) return;
    this.mirror.forgetShown(this.view?.installation ?? '');
    this.mirror.take(view);
    go();
  }

  async saveReceipt(): Promise<void> {
    const file = await this.plainly(() => this.mirror.client.call('save_receipt', { id: this.id }));
    if (file) this.saved = file;
  }
  async saveReport(): Promise<void> {
    const file = await this.plainly(() => this.mirror.client.call('save_report'));
    if (file) this.saved = file;
  }
  /** How long the application would be away, as the rehearsal has measured it. */
  measure(name: string): Promise<unknown> {
    return this.plan.ask(() => this.mirror.client.call('plan', { name, to: null }));
  }

  private async tried(act: () => Promise<UpgradeView>): Promise<UpgradeView | undefined> {
    const view = await this.plainly(() => this.mirror.guard(act));
    if (view) this.mirror.takeUpgrade(view);
    return view;
  }
  private async plainly<T>(act: () => Promise<T>): Promise<T | undefined> {
    this.refusal = undefined;
    try {
      return await act();
    } catch (reason) {
      this.refusal = asErrorView(reason);
      return undefined;
    }
  }
}
