// What the page Update asks of the engine. The plan touches nothing.

import type { ConfirmView, ErrorView, Finding } from '../../ipc/bindings';
import { Asked } from '../../ipc/asked.svelte';
import { asErrorView, type Commands } from '../../ipc/contract';
import type { Mirror } from '../../ipc/mirror.svelte';
import { go } from '../../kit/go';

export class UpdateStore {
  readonly plan = new Asked<ConfirmView>();
  fixing = $state<string>();
  /** What was repaired here stays on the page with its tick. */
  fixed = $state.raw<Finding[]>([]);
  notFixed = $state.raw<Record<string, string>>({});
  refusal = $state.raw<ErrorView>();
  isStarting = $state(false);
  readonly stop = $derived(this.plan.value?.findings.find((it) => it.severity === 'stop'));

  /** The setting that is being said. */
  saying = $state<string>();
  notSaid = $state.raw<ErrorView>();
  /** Nothing was said yet of a setting that the new version asks for. */
  readonly waitsForSettings = $derived(this.plan.value?.asked.some((it) => !it.answered) ?? false);

  constructor(
    readonly mirror: Mirror,
    readonly name: string,
  ) {}

  load(): Promise<unknown> {
    return this.plan.ask(() => this.mirror.client.call('plan', { name: this.name, to: null }));
  }

  /** `answer` where the finding asks something. */
  async fix(finding: Finding, answer?: string): Promise<void> {
    const { fix } = finding;
    if (!fix) return;
    this.fixing = fix;
    try {
      const view = await this.mirror.guard(() =>
        this.mirror.client.call('fix_finding', {
          name: this.name,
          fix: answer ?? fix,
          to: this.plan.value?.to ?? null,
        }),
      );
      if (!view) return;
      this.plan.value = view;
      if (view.begun) go('app', this.name, 'upgrade', view.begun);
      else if (!view.findings.some((it) => it.class === finding.class)) this.fixed = [...this.fixed, finding];
      else this.notFixed = { ...this.notFixed, [fix]: finding.remedy };
    } catch (reason) {
      this.notFixed = { ...this.notFixed, [fix]: asErrorView(reason).message };
    } finally {
      this.fixing = undefined;
    }
  }

  /** What a setting is to be; without a value one is made up. Answers whether it was taken. */
  async sayOfSetting(key: string, value: string | null): Promise<boolean> {
    this.saying = key;
    this.notSaid = undefined;
    try {
      const view = await this.mirror.guard(() =>
        this.mirror.client.call('say_of_setting', {
          name: this.name,
          key,
          value,
          to: this.plan.value?.to ?? null,
        }),
      );
      if (!view) return false;
      this.plan.value = view;
      return true;
    } catch (reason) {
      this.notSaid = asErrorView(reason);
      return false;
    } finally {
      this.saying = undefined;
    }
  }

  async start(rehearseOnly: boolean): Promise<void> {
    const to = this.plan.value?.to;
    if (!to || this.isStarting) return;
    this.isStarting = true;
    this.refusal = undefined;
    try {
      const begun = await this.mirror.guard(() =>
        this.mirror.client.call('start_upgrade', { name: this.name, to, rehearse_only: rehearseOnly }),
      );
      if (!begun) return;
      this.mirror.takeUpgrade(begun);
      go('app', this.name, 'upgrade', begun.upgrade_id);
    } catch (reason) {
      this.refusal = asErrorView(reason);
    } finally {
      this.isStarting = false;
    }
  }

  async quiet(kind: Parameters<Commands['quiet']>[0]['kind']): Promise<void> {
    await this.tried(async () =>
      this.mirror.take(await this.mirror.client.call('quiet', { name: this.name, kind })),
    );
    if (!this.refusal) go();
  }

  /** Tonight, another time, or not at all. */
  async schedule(at: string | null): Promise<void> {
    const to = this.plan.value?.to;
    if (!to) return;
    await this.tried(async () => {
      const view = await this.mirror.guard(() =>
        this.mirror.client.call('schedule_upgrade', { name: this.name, to, at }),
      );
      if (view) this.plan.value = view;
    });
  }

  private async tried(act: () => Promise<void>): Promise<void> {
    this.refusal = undefined;
    try {
      await act();
    } catch (reason) {
      this.refusal = asErrorView(reason);
    }
  }
}
