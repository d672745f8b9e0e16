// All backups, newest first, and the work on them.

import { Asked } from '../../ipc/asked.svelte';
import type { BackupJob, BackupView, ErrorView } from '../../ipc/bindings';
import { asErrorView } from '../../ipc/contract';
import type { Mirror } from '../../ipc/mirror.svelte';

export class BackupsStore {
  readonly list = new Asked<BackupView[]>();
  refusal = $state.raw<ErrorView>();
  readonly backups = $derived(
    [...(this.list.value ?? [])].sort((a, b) => b.made_at.localeCompare(a.made_at)),
  );
  readonly jobs = $derived.by(() => [...this.mirror.jobs.values()]);

  constructor(readonly mirror: Mirror) {}

  load(): Promise<unknown> {
    return this.list.ask(() => this.mirror.client.call('backups', { name: null }));
  }
  backUp = (name: string) => this.#begin(() => this.mirror.client.call('back_up', { name, note: '' }));
  prove = (id: string) => this.#begin(() => this.mirror.client.call('prove_backup', { id }));

  copy = ({ id, installation: name }: BackupView) =>
    this.#begin(() => this.mirror.client.call('copy_now', { name, id }));
  renewCopy = ({ id }: BackupView) => this.#begin(() => this.mirror.client.call('renew_copy', { id }));
  copyNewest = (name: string) => this.#begin(() => this.mirror.client.call('copy_now', { name, id: null }));
  /** What has failed, once more. */
  again(job: BackupJob): Promise<void> {
    const { act, installation: name, about: id } = job;
    if (act === 'prove' && id !== null) return this.prove(id);
    if (act === 'copy') return this.#begin(() => this.mirror.client.call('copy_now', { name, id }));
    return this.backUp(name);
  }
  openFolder = ({ id, installation: name }: BackupView) =>
    this.tried(() => this.mirror.client.call('open_folder', { name, what: 'backup', id }));

  /** Kept whatever the rule says, or not any more. */
  async pin(backup: BackupView): Promise<void> {
    await this.tried(async () => {
      const { id, pinned } = backup;
      const list = await this.mirror.guard(() =>
        this.mirror.client.call('pin_backup', { id, pinned: !pinned }),
      );
      if (list) this.list.value = list;
    });
  }
  async tried(act: () => Promise<unknown>): Promise<void> {
    this.refusal = undefined;
    try {
      await act();
    } catch (reason) {
      this.refusal = asErrorView(reason);
    }
  }

  async #begin(act: () => Promise<BackupJob>): Promise<void> {
    await this.tried(async () => {
      const job = await this.mirror.guard(act);
      if (job) this.mirror.jobs.set(job.id, job);
    });
  }
}
