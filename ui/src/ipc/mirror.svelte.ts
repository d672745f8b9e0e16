// What the engine said last. It owns the truth; this only mirrors it, and nothing here decides anything.

import { untrack } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import type {
  AppView,
  BackupJob,
  ErrorView,
  InstallationCard,
  LockView,
  OutcomeLine,
  UpgradeView,
} from './bindings';
import { asErrorView, type Client, type Commands } from './contract';

export class Mirror {
  app = $state.raw<AppView>();
  refusal = $state.raw<ErrorView>();
  readonly upgrades = new SvelteMap<string, UpgradeView>();
  readonly jobs = new SvelteMap<string, BackupJob>();
  readonly installations = $derived(this.app?.installations ?? []);
  readonly isLocked = $derived(this.app?.lock.locked ?? false);

  /** The last result that this window has shown of each application, and what the engine was told of that. */
  readonly #shown = new SvelteMap<string, OutcomeLine>();
  // Nothing on the page depends on it.
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  readonly #told = new Set<string>();

  constructor(readonly client: Client) {}

  /** Whether the engine has this command. A part of a screen that needs it is not there otherwise. */
  can(...commands: (keyof Commands)[]): boolean {
    return commands.every((it) => this.client.can(it));
  }

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
    for (const card of view.installations) {
      if (!card.upgrade) continue;
      this.takeUpgrade(card.upgrade);
      if (card.upgrade.active) this.#shown.delete(card.name);
    }
  }

  /** The result that a card still has to show: one that no window has shown, or that this one did. */
  resultOf(card: InstallationCard): OutcomeLine | undefined {
    return card.unseen ?? this.#shown.get(card.name);
  }

  /** A window that can be seen has shown it: it is not announced again, however often the page is loaded. */
  hasShown(card: InstallationCard): void {
    if (!card.unseen || document.visibilityState !== 'visible') return;
    const line = card.unseen;
    untrack(() => this.#shown.set(card.name, line));
    void this.tellSeen(line.upgrade_id);
  }
  /** Someone has followed it, or said that they know. */
  forgetShown(name: string): void {
    this.#shown.delete(name);
  }
  async tellSeen(id: string): Promise<void> {
    if (this.#told.has(id)) return;
    this.#told.add(id);
    try {
      await this.client.call('seen', { id });
    } catch {
      // It is shown once more then, which is better than never.
      this.#told.delete(id);
    }
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

  /** Why the last small act did not work: one whose place on the page has no room for it. */
  mishap = $state.raw<ErrorView>();

  /** A small act: what becomes of it is told on the page, whatever it is. Nothing where it did not work. */
  async attempt<T>(act: () => Promise<T>): Promise<T | undefined> {
    this.mishap = undefined;
    try {
      return await this.guard(act);
    } catch (reason) {
      this.mishap = asErrorView(reason);
      return undefined;
    }
  }
  /** A small act that answers with everything. */
  async attemptAll(act: () => Promise<AppView>): Promise<void> {
    const view = await this.attempt(act);
    if (view) this.take(view);
  }
  openLink = (url: string) => this.attempt(() => this.client.call('open_link', { url }));
  openApplication = (name: string) => this.attempt(() => this.client.call('open_application', { name }));

  installation(name: string): InstallationCard | undefined {
    return this.installations.find((it) => it.name === name);
  }

  /** The newest word about the upgrade of a card, which its own event may have brought since. */
  upgradeOf(card: InstallationCard): UpgradeView | null {
    return (card.upgrade && this.upgrades.get(card.upgrade.upgrade_id)) ?? card.upgrade;
  }
}
