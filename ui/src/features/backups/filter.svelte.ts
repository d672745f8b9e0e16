// Which backups somebody wants to see: by words and by what they are. Kept while the window is open, so that whoever
// looks at one of them finds the same list again.

import type { BackupView } from '../../ipc/bindings';
import type { Mirror } from '../../ipc/mirror.svelte';

/** With fewer there is nothing to look for. */
export const MANY = 7;

/** What `place` can be beside the name of a folder. */
export const COPIED = 'copied';
export const ONLY_HERE = 'only_here';

export class Wanted {
  text = $state('');
  installation = $state('');
  kind = $state<BackupView['kind'] | ''>('');
  grade = $state<BackupView['grade'] | ''>('');
  place = $state('');
  isKept = $state(false);
  /** It outlives the pages that look at it, so it is asked and not derived. */
  get isAnything(): boolean {
    const words = [this.text.trim(), this.installation, this.kind, this.grade, this.place];
    return this.isKept || words.some((it) => it !== '');
  }

  clear = () => {
    this.text = this.installation = this.kind = this.grade = this.place = '';
    this.isKept = false;
  };

  of(backups: BackupView[]): BackupView[] {
    const words = this.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    return backups.filter(
      (it) =>
        (this.installation === '' || it.installation === this.installation) &&
        (this.kind === '' || it.kind === this.kind) &&
        (this.grade === '' || it.grade === this.grade) &&
        (!this.isKept || it.pinned) &&
        this.#liesThere(it) &&
        words.every((word) =>
          `${it.note} ${it.version ?? ''} ${it.title}`.toLocaleLowerCase().includes(word),
        ),
    );
  }

  #liesThere(backup: BackupView): boolean {
    switch (this.place) {
      case '':
        return true;
      case COPIED:
        return backup.copied === true;
      case ONLY_HERE:
        return backup.copied === false;
      default:
        return folderOf(backup) === this.place;
    }
  }
}

/** The folder in which it is kept with those of every application. */
export const folderOf = (backup: BackupView): string => backup.path.replace(/([\\/][^\\/]+){2}$/, '');

const kept = new WeakMap<Mirror, Wanted>();

export function wantedOf(mirror: Mirror): Wanted {
  const known = kept.get(mirror) ?? new Wanted();
  kept.set(mirror, known);
  return known;
}
