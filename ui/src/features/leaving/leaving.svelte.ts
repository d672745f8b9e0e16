// Leaving an old version. The engine keeps where it stands; this only remembers which page is looked at.

import { Asked } from '../../ipc/asked.svelte';
import type { ErrorView } from '../../ipc/bindings';
import { asErrorView } from '../../ipc/contract';
import type { Mirror } from '../../ipc/mirror.svelte';
import type { EntityPreview, LeavingStep, LeavingView } from '../../ipc/wished';

export const STEPS: readonly LeavingStep[] = [
  'changes',
  'choose',
  'format',
  'export',
  'check',
  'fresh',
  'bring',
];

/** What a person chose on the pages before the export. */
export type Choices = Pick<LeavingView, 'everything' | 'formats' | 'container' | 'separator'> & {
  entities: string[];
};

export class LeavingStore {
  readonly asked = new Asked<LeavingView>();
  readonly preview = new Asked<EntityPreview>();
  at = $state<LeavingStep>('changes');
  choices = $state<Choices>({
    entities: [],
    everything: false,
    formats: ['csv'],
    container: 'folder',
    separator: 'comma',
  });
  refusal = $state.raw<ErrorView>();
  isBusy = $state(false);
  /** It was left here before, and is gone on with. */
  wasLeft = $state(false);
  readonly view = $derived(this.asked.value);

  constructor(
    readonly mirror: Mirror,
    readonly name: string,
    readonly to: string,
  ) {}

  async load(): Promise<void> {
    const view = await this.asked.ask(() => this.mirror.client.call('leaving', this.#which));
    if (!view) return;
    this.#choicesOf(view);
    this.at = view.step;
    this.wasLeft = view.step !== 'changes';
  }

  /** Hears how it goes; answers how to stop. */
  follow(): () => void {
    return this.mirror.client.on('leaving', (view) => {
      if (view.installation === this.name && view.to === this.to) this.#take(view);
    });
  }

  /** Takes down what was chosen so far, and goes on. */
  async next(step: LeavingStep): Promise<void> {
    this.wasLeft = false;
    const isChoosing = STEPS.indexOf(step) <= STEPS.indexOf('export');
    if (!isChoosing) {
      this.at = step;
      return;
    }
    const done = await this.#act(() =>
      this.mirror.client.call('leaving_choose', { ...this.#which, step, ...$state.snapshot(this.choices) }),
    );
    if (done) this.at = step;
  }
  back(): void {
    this.at = STEPS[Math.max(0, STEPS.indexOf(this.at) - 1)] ?? 'changes';
  }

  show = (entity: string) =>
    this.preview.ask(() => this.mirror.client.call('leaving_preview', { ...this.#which, entity }));
  exportNow = () => this.#act(() => this.mirror.client.call('leaving_export', this.#which));
  startFresh = () => this.#act(() => this.mirror.client.call('leaving_fresh_start', this.#which));
  bringIn = (dry_run: boolean) =>
    this.#act(() => this.mirror.client.call('leaving_import', { ...this.#which, dry_run }));
  undo = () => this.#act(() => this.mirror.client.call('leaving_undo_import', this.#which));
  open = (what: 'export' | 'rest') =>
    this.#tried(() => this.mirror.client.call('leaving_open', { ...this.#which, what }));

  get #which() {
    return { name: this.name, to: this.to };
  }
  #take(view: LeavingView): void {
    const was = this.view?.step;
    this.asked.value = view;
    // What ran has come further: whoever watches it comes along.
    if (was !== undefined && was !== view.step && this.at === was) this.at = view.step;
  }
  #choicesOf(view: LeavingView): void {
    const { everything, formats, container, separator } = view;
    const entities = view.entities.filter((it) => it.chosen).map((it) => it.key);
    this.choices = { entities, everything, formats: [...formats], container, separator };
  }
  async #act(act: () => Promise<LeavingView>): Promise<boolean> {
    const view = await this.#tried(() => this.mirror.guard(act));
    if (view) this.#take(view);
    return view !== undefined;
  }
  async #tried<T>(act: () => Promise<T>): Promise<T | undefined> {
    this.refusal = undefined;
    this.isBusy = true;
    try {
      return await act();
    } catch (reason) {
      this.refusal = asErrorView(reason);
      return undefined;
    } finally {
      this.isBusy = false;
    }
  }
}
