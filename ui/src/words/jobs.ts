// What is at work on backups, in a person's words.

import type { BackupJob } from '../ipc/bindings';
import { m } from '../paraglide/messages.js';
import { inSentence } from './format';

/** "Backing up FilaOps". */
export function jobTitle(job: BackupJob, title: string): string {
  const app = inSentence(title);
  const what = inSentence(job.about ?? '');
  switch (job.act) {
    case 'back_up':
      return m.rail_backing_up({ app });
    case 'prove':
      return m.job_prove({ app });
    case 'copy':
      return m.job_copy({ app });
    case 'inspect':
      return m.job_inspect({ file: what });
    case 'adopt':
      return m.job_adopt({ file: what });
    case 'look_at':
      return m.job_look_at({ table: what });
    default:
      return job.act satisfies never;
  }
}
