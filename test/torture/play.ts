// One process of the torture: plays the part that it is told, and ends with the process that started it.
import type { Part } from './part.js'
import { insertAsPython, workAsPython } from './python-roles.js'
import {
  copyLiveQueue,
  insertForEver,
  moveTasks,
  purgeBesideUploads,
  retryDeadLetters,
  uploadBesidePurges,
  uploadForEver,
  work,
} from './roles.js'

const part: Part = JSON.parse(process.argv[2] ?? '')
process.on('disconnect', () => process.exit(2))
// The channel is there to tell when the other end dies; it must not keep this process.
process.channel?.unref()

const ROLES = {
  inserter: insertForEver,
  uploader: uploadForEver,
  worker: work,
  mover: moveTasks,
  retrier: retryDeadLetters,
  copier: copyLiveQueue,
  'purged-uploader': uploadBesidePurges,
  purger: purgeBesideUploads,
  'python-inserter': insertAsPython,
  'python-worker': workAsPython,
}

const stopping = new AbortController()
// Python has no handler of SIGTERM.
if (part.role !== 'worker' && !part.role.startsWith('python-')) {
  process.on('SIGTERM', () => stopping.abort())
  process.send?.('ready')
}
await ROLES[part.role](part, stopping.signal)
