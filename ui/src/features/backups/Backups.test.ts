// The page of backups: what is looked for among many, what runs, what is wrong, and how encryption is taken up again.

import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { tick } from 'svelte';
import { describe, expect, it } from 'vitest';
import { open } from '../../../tests/open';
import { scene } from '../../ipc/fixture/scenes';
import * as wish from '../../ipc/fixture/wishes';
import * as w from '../../ipc/fixture/world';
import { wantedOf, type Wanted } from './filter.svelte';

const rows = () => screen.queryAllByTestId('open-backup').length;
const says = () => screen.getByTestId('filter-says').textContent;

describe('the filter', () => {
  it('is not in the way where there are few', async () => {
    await open('backups');
    await screen.findAllByTestId('open-backup');
    expect(screen.queryByTestId('backups-filter')).toBeNull();
  });

  it('finds by words, by what they are and by where they lie, and is cleared where nothing is left', async () => {
    const { mirror } = await open('backups-many');
    // The lists of the system are chosen from in a real browser (tests/screens.spec.ts).
    const wanted = wantedOf(mirror);
    const choose = async (change: Partial<Wanted>) => {
      Object.assign(wanted, change);
      await tick();
    };
    const field = await screen.findByTestId('filter');
    expect(says()).toBe('31 backups');
    await userEvent.type(field, 'MOVING 4.0');
    expect(rows()).toBe(1);
    await userEvent.keyboard('{Escape}');
    expect(rows()).toBe(31);
    await choose({ grade: 'failed' });
    expect(rows()).toBe(1);
    await choose({ kind: 'manual' });
    expect(rows()).toBe(0);
    await userEvent.click(screen.getByTestId('no-match-clear'));
    expect(rows()).toBe(31);
    await choose({ place: 'only_here' });
    expect(says()).toBe('14 of 31 backups');
    await userEvent.click(screen.getByTestId('filter-kept'));
    expect(says()).toBe('2 of 31 backups');
  });

  it('is reached by its key, and its list walked through with the arrows', async () => {
    await open('backups-many');
    await screen.findByTestId('filter');
    await fireEvent.keyDown(window, { key: 'f', ctrlKey: true });
    expect(document.activeElement).toBe(screen.getByTestId('filter'));
    const links = screen.getAllByTestId('open-backup');
    links[0]?.focus();
    await userEvent.keyboard('{ArrowDown}{ArrowDown}');
    expect(document.activeElement).toBe(links[2]);
    await userEvent.keyboard('{End}');
    expect(document.activeElement).toBe(links.at(-1));
  });

  it('is as it was for whoever comes back from one of them', async () => {
    await open('backups-many');
    await userEvent.type(await screen.findByTestId('filter'), 'moving');
    location.hash = '#/help';
    await waitFor(() => expect(screen.queryByTestId('filter')).toBeNull());
    location.hash = '#/backups';
    await screen.findByTestId('filter');
    expect(says()).toBe('1 of 31 backups');
  });
});

describe('what runs', () => {
  it('tells how far a file has been looked into, and stops it without leaving a refusal', async () => {
    let stop: (reason: unknown) => void = () => undefined;
    const { client, calls } = await open(
      { ...scene('backups'), inspect_file: () => new Promise<never>((_, no) => (stop = no)) },
      '#/backups',
    );
    await userEvent.click(await screen.findByTestId('act-from-file'));
    const job = w.job({ act: 'inspect', about: 'old.sql.gz', progress: 41 });
    client.say('job', job);
    const card = await screen.findByTestId('job');
    expect(card.textContent).toContain('Looking into old.sql.gz');
    expect(card.textContent).toContain('41');
    await userEvent.click(screen.getByTestId('act-stop-job'));
    expect(calls('cancel_job')).toEqual([{ id: 'j1' }]);
    client.say('job', { ...job, ended: true });
    stop(w.mistake({ class: 'cancelled', message: 'It was stopped.' }));
    await screen.findByTestId('file-stopped');
    expect(screen.queryByTestId('refusal')).toBeNull();
    expect(screen.queryByTestId('job')).toBeNull();
  });

  it('tells how far a table is, also to whoever comes back to the page', async () => {
    const { client } = await open('tables');
    await screen.findAllByTestId('act-look-table');
    client.say('job', w.job({ act: 'look_at', about: 'public.orders', installation: 'b1', progress: 12 }));
    const card = await screen.findByTestId('job');
    expect(card.textContent).toContain('Restoring public.orders beside');
    expect(screen.getAllByTestId('act-look-table')[2]?.textContent).toContain('Restoring…');
  });

  it('leads to the backup that was made of a file', async () => {
    const { client } = await open('backups');
    await screen.findByTestId('act-from-file');
    client.say(
      'job',
      w.job({ act: 'adopt', about: 'old.dump', ended: true, done: w.backup({ id: 'filaops/x' }) }),
    );
    const line = await screen.findByTestId('file-made');
    expect(line.querySelector('a')?.getAttribute('href')).toBe('#/backups/filaops%2Fx');
  });
});

describe('what is wrong', () => {
  it('has the act that mends it', async () => {
    const { calls } = await open('backups-alarms');
    const press = async (alarm: string) =>
      userEvent.click(
        (await screen.findByTestId(alarm)).querySelector('[data-testid="act-fix"]') as HTMLElement,
      );
    await press('alarm-scheduled_backup_failed');
    expect(calls('back_up')).toEqual([{ name: 'filaops', note: '' }]);
    await press('alarm-copy_behind');
    expect(calls('copy_now')).toEqual([{ name: 'filaops', id: null }]);
    expect(document.body.textContent).not.toContain('`liftlock');
  });
});

describe('keeping them safe', () => {
  it('tells several applications apart, and copies the one that is asked for', async () => {
    const { calls } = await open('backups-safe-of-three');
    const line = await screen.findByTestId('copies-of-app-1');
    expect(line.textContent).toContain('every byte of it was read back');
    expect((await screen.findByTestId('copies-of-filaops')).textContent).toContain('is not there');
    expect(screen.getByTestId('copies-of-app-2').querySelector('button')).toBeNull();
    await userEvent.click(line.querySelector('button') as HTMLElement);
    expect(calls('copy_now')).toEqual([{ name: 'app-1', id: null }]);
  });

  it('takes up encryption again with a click, and another passphrase only after a word', async () => {
    let refuses = true;
    const { calls } = await open(
      {
        ...scene('backups-other-passphrase'),
        encrypt_with_passphrase: ({ keeps_both }: { keeps_both: boolean }) =>
          refuses && !keeps_both
            ? Promise.reject(w.mistake({ class: 'other_passphrase' }) as never)
            : wish.safekeeping({ encryption: wish.SEALED }),
      },
      '#/backups',
    );
    await userEvent.click(await screen.findByTestId('act-encrypt'));
    await userEvent.type(screen.getByTestId('key-passphrase'), 'a lantern on the quay');
    await userEvent.type(screen.getByTestId('key-again'), 'a lantern on the quay');
    const go = screen.getByTestId('act-encrypt-go');
    await userEvent.click(go);
    await screen.findByTestId('key-other');
    expect(go.getAttribute('aria-disabled')).toBe('true');
    await userEvent.click(screen.getByTestId('key-keep-both'));
    await userEvent.click(go);
    await waitFor(() => expect(screen.queryByTestId('encrypt-dialog')).toBeNull());
    expect(calls('encrypt_with_passphrase').map((it) => (it as { keeps_both: boolean }).keeps_both)).toEqual([
      false,
      true,
    ]);
    refuses = false;
    expect(screen.getByTestId('encryption-says').textContent).toContain('With a passphrase');
  });
});
