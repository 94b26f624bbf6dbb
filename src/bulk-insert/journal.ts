/** Selects where the journal of a bulk insert is stored. */
import type { Backend } from '../backend/backend.js'
import type { Uploads } from '../backend/uploads.js'
import { JournalFiles } from './journal-files.js'

/** The queue's own journals, or files of this machine where it has none. */
export function journalOf(backend: Backend): Uploads {
  return backend.uploads ?? new JournalFiles(backend)
}
