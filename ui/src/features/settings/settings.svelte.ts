// Every setting saves at once and says so.

import { Asked } from '../../ipc/asked.svelte';
import type { LockView, Preferences, SettingView } from '../../ipc/bindings';
import { asErrorView } from '../../ipc/contract';
import type { Mirror } from '../../ipc/mirror.svelte';
import { FOLDERS } from './groups';

const SAID_FOR_MS = 2000;

export class SettingsStore {
  readonly list = new Asked<SettingView[]>();
  /** What has just been saved, and what was not and why. */
  saved = $state<string>();
  refused = $state.raw<Record<string, string>>({});
  recoveryCode = $state<string>();
  codeSavedAs = $state<string>();

  constructor(readonly mirror: Mirror) {}

  load(): Promise<unknown> {
    return this.list.ask(() => this.mirror.client.call('settings'));
  }

  set = (key: string, value: string | null) =>
    this.#save(key, async () => {
      const list = await this.mirror.guard(() => this.mirror.client.call('set_setting', { key, value }));
      if (!list) return false;
      this.list.value = list;
      return true;
    });

  chooseFolder = (key: keyof typeof FOLDERS) =>
    this.#save(key, async () => {
      const list = await this.mirror.guard(() => this.mirror.client.call(FOLDERS[key]));
      if (!list) return false;
      this.list.value = list;
      return true;
    });

  prefer = (key: keyof Preferences, value: string) =>
    this.#save(key, async () => {
      this.mirror.take(await this.mirror.client.call('set_preference', { key, value }));
      return true;
    });

  setLock = (passphrase: string) =>
    this.#save('lock', async () => {
      const { recovery_code } = await this.mirror.client.call('set_lock', { passphrase });
      this.recoveryCode = recovery_code;
      await this.mirror.load();
      return true;
    });
  /** Where a person wants it; nothing is said where they closed the dialog. */
  saveCode = () =>
    this.#save('code', async () => {
      const file = await this.mirror.client.call('save_recovery_code', { code: this.recoveryCode ?? '' });
      this.codeSavedAs = file ?? undefined;
      return true;
    });
  printCode = () =>
    this.#save('code', async () => {
      await this.mirror.client.call('print_recovery_code');
      return true;
    });
  forgetCode(): void {
    this.recoveryCode = this.codeSavedAs = undefined;
  }
  removeLock = (passphrase: string) =>
    this.#lock(() => this.mirror.client.call('remove_lock', { passphrase }));
  lockNow = () => this.#lock(() => this.mirror.client.call('lock'));

  #lock(act: () => Promise<LockView>): Promise<boolean> {
    return this.#save('lock', async () => {
      this.mirror.takeLock(await act());
      return true;
    });
  }

  async #save(key: string, act: () => Promise<boolean>): Promise<boolean> {
    const others = Object.fromEntries(Object.entries(this.refused).filter(([it]) => it !== key));
    this.refused = others;
    try {
      if (!(await act())) return false;
      this.saved = key;
      setTimeout(() => this.saved === key && (this.saved = undefined), SAID_FOR_MS);
      return true;
    } catch (reason) {
      const error = asErrorView(reason);
      this.refused = { ...others, [key]: `${error.message} ${error.remedy}` };
      return false;
    }
  }
}
