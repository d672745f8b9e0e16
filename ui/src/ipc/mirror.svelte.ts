// What the engine said last. It owns the truth; this only mirrors it, and nothing here decides anything.

import { SvelteMap } from 'svelte/reactivity';
import type { AppView, BackupJob, ErrorView, InstallationCard, LockView, UpgradeView } from './bindings';
import { asErrorView, type Client } from './contract';

export class Mirror {
  app = $state.raw<AppView>();
  refusal = $state.raw<ErrorView>();
  readonly upgrades = new SvelteMap<string, UpgradeView>();
  readonly jobs = new SvelteMap<string, BackupJob>();
  readonly installations = $derived(this.app?.installations ?? []);
  readonly isLocked = $derived(this.app?.lock.locked ?? false);

  constructor(readonly client: Client) {}

  /** Listens first and asks then, so that nothing is missed between the two. */
  async start(): Promise<void> {
    this.client.on('app', (it) => this.take(it));
    this.client.on('upgrade', (it) => this.takeUpgrade(it));
    this.client.on('job', (it) => this.jobs.set(it.id, it));
    this.client.on('lock', (it) => this.takeLock(it));
    await this.load();
  }

  async load(): Promise<void> {
    this.refusal = undefined;
    try {
      this.take(await this.client.call('app_view'));
    } catch (reason) {
      this.refusal = asErrorView(reason);
    }
  }

  take(view: AppView): void {
    this.app = view;
    for (const card of view.installations) if (card.upgrade) this.takeUpgrade(card.upgrade);
  }

  /** An older view never replaces a newer one: percentages do not go back. */
  takeUpgrade(view: UpgradeView): void {
    const known = this.upgrades.get(view.upgrade_id);
    if (known && BigInt(known.seq) > BigInt(view.seq)) return;
    this.upgrades.set(view.upgrade_id, view);
  }

  takeLock(lock: LockView): void {
    if (this.app) this.app = { ...this.app, lock };
  }

  takeCard(card: InstallationCard): void {
    if (!this.app) return;
    const others = this.app.installations.filter((it) => it.name !== card.name);
    const known = others.length < this.app.installations.length;
    const installations = known
      ? this.app.installations.map((it) => (it.name === card.name ? card : it))
      : [...others, card];
    this.app = { ...this.app, installations };
  }

  /** Set while someone is asked for the administrator passphrase; answers whether it was given. */
  unlockAsked = $state.raw<(unlocked: boolean) => void>();

  /** An act that the administrator lock may refuse: asks for the passphrase and goes on. Nothing where it is not given. */
  async guard<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      if (!this.isLocked) return await act();
    } catch (reason) {
      if (asErrorView(reason).class !== 'locked') throw reason;
    }
    const unlocked = await new Promise<boolean>((answer) => (this.unlockAsked = answer));
    this.unlockAsked = undefined;
    return unlocked ? act() : undefined;
  }

  installation(name: string): InstallationCard | undefined {
    return this.installations.find((it) => it.name === name);
  }

  /** The newest word about the upgrade of a card, which its own event may have brought since. */
  upgradeOf(card: InstallationCard): UpgradeView | null {
    return (card.upgrade && this.upgrades.get(card.upgrade.upgrade_id)) ?? card.upgrade;
  }
}
