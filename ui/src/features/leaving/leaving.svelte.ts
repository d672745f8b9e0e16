// Leaving an old version. The engine keeps where it stands; this only remembers which page is looked at.

import { Asked } from '../../ipc/asked.svelte';
import type {
  Duplicates,
  EntityPreview,
  ErrorView,
  LeavingAct,
  LeavingChoice,
  LeavingStep,
  LeavingView,
  MappedChange,
  MappingTable,
  PairAnswer,
  PairView,
} from '../../ipc/bindings';
import { asErrorView } from '../../ipc/contract';
import type { Mirror } from '../../ipc/mirror.svelte';

export const STEPS: readonly LeavingStep[] = [
  'changes',
  'choose',
  'format',
  'export',
  'check',
  'fresh',
  'bring',
];
/** To be typed before a fresh start without an export. */
export const EMPTY = 'EMPTY';

const named = (pair: PairView): string => JSON.stringify([pair.entity, pair.key]);

export class LeavingStore {
  readonly asked = new Asked<LeavingView>();
  readonly preview = new Asked<EntityPreview>();
  at = $state<LeavingStep>('changes');
  choice = $state<LeavingChoice>({
    entities: [],
    everything: false,
    formats: ['csv'],
    separator: 'comma',
    bytes: 'hex',
    zip: false,
  });
  refusal = $state.raw<ErrorView>();
  isBusy = $state(false);
  /** It was left here before, and is gone on with. */
  wasLeft = $state(false);
  /** What becomes of rows that are there already: of single ones, and of all others. */
  said = $state<Record<string, boolean>>({});
  forAll = $state<Duplicates>();
  /** What comes into which column, once somebody has asked for it. */
  mapping = $state.raw<MappingTable>();
  /** What was changed and cannot be remembered yet, because something is missing. */
  #changes: MappedChange[] = [];
  readonly view = $derived(this.asked.value);
  /** Nobody has to be asked any more. */
  readonly isAnswered = $derived.by(() => {
    const report = this.view?.imported;
    if (!report?.is_dry_run || report.asked === 0 || this.forAll) return true;
    return report.asked === report.pairs.length && report.pairs.every((it) => named(it) in this.said);
  });

  constructor(
    readonly mirror: Mirror,
    readonly name: string,
    readonly to: string,
  ) {}

  async load(): Promise<void> {
    const view = await this.asked.ask(() => this.mirror.client.call('leaving', this.#which));
    if (!view) return;
    this.choice = { ...view.choice };
    this.at = view.step;
    this.wasLeft = view.step !== 'changes' && !view.work && !view.is_return;
  }

  /** Hears how it goes; answers how to stop. */
  follow(): () => void {
    return this.mirror.client.on('leaving', (view) => {
      if (view.installation === this.name && view.to === this.to) this.#take(view);
    });
  }

  /** Takes down where it is gone on, with what was chosen so far. */
  async turnTo(step: LeavingStep): Promise<void> {
    this.wasLeft = false;
    const choice = $state.snapshot(this.choice);
    const done = await this.#act(() =>
      this.mirror.client.call('leaving_choose', { ...this.#which, step, choice }),
    );
    if (done) this.at = step;
  }
  back = () => this.turnTo(STEPS[Math.max(0, STEPS.indexOf(this.at) - 1)] ?? 'changes');

  show = (entity: string) =>
    this.preview.ask(() => this.mirror.client.call('leaving_preview', { name: this.name, entity }));
  /** Whether a row gets the values of the export, where that was said. */
  saidOf(pair: PairView): boolean | undefined {
    return this.said[named(pair)] ?? (this.forAll && this.forAll === 'update');
  }
  sayOf(pair: PairView, takes: boolean): void {
    this.said[named(pair)] = takes;
  }
  /** It holds for those that something was said of before, too. */
  sayOfAll(duplicates: Duplicates): void {
    this.said = {};
    this.forAll = duplicates;
  }
  showMapping = () => this.#mapped(() => this.mirror.client.call('leaving_mapping', this.#which));
  resetMapping() {
    this.#changes = [];
    return this.#map(true);
  }
  map(change: MappedChange) {
    const isOther = (it: MappedChange) => it.entity !== change.entity || it.column !== change.column;
    this.#changes = [...this.#changes.filter(isOther), change];
    return this.#map(false);
  }
  bringIn() {
    const pairs = this.view?.imported?.pairs ?? [];
    const answers = pairs.flatMap((it) => {
      const takes = this.said[named(it)];
      return takes === undefined ? [] : [{ entity: it.entity, key: it.key, takes }];
    });
    return this.begin('bring_in', { answers, duplicates: this.forAll });
  }
  begin = (
    act: LeavingAct,
    more: { typed?: string; duplicates?: Duplicates; answers?: PairAnswer[] } = {},
  ) => {
    this.wasLeft = false;
    return this.#act(() =>
      this.mirror.client.call('leaving_begin', {
        ...this.#which,
        act,
        typed: more.typed ?? null,
        duplicates: more.duplicates ?? null,
        answers: more.answers ?? [],
      }),
    );
  };
  open = (what: 'export' | 'rest') =>
    this.#tried(() => this.mirror.client.call('leaving_open', { ...this.#which, what }));

  #map(reset: boolean) {
    const asked = { ...this.#which, changes: this.#changes, reset };
    return this.#mapped(async () => {
      const table = await this.mirror.guard(() => this.mirror.client.call('leaving_map', asked));
      // What was tried before says nothing any more.
      if (table && !table.problem) this.asked.value = await this.mirror.client.call('leaving', this.#which);
      return table;
    });
  }
  async #mapped(ask: () => Promise<MappingTable | undefined>): Promise<void> {
    const table = await this.#tried(ask);
    if (!table) return;
    if (!table.problem) this.#changes = [];
    this.mapping = table;
  }
  get #which() {
    return { name: this.name, to: this.to };
  }
  #take(view: LeavingView): void {
    const was = this.view?.step;
    this.asked.value = view;
    // What ran has come further: whoever watches it comes along.
    if (was !== undefined && was !== view.step && this.at === was) this.at = view.step;
  }
  async #act(act: () => Promise<LeavingView>): Promise<boolean> {
    const view = await this.#tried(() => this.mirror.guard(act));
    if (view) this.asked.value = view;
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
