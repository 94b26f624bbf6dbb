// One process of the torture: plays its role until its parent ends.
import type { ProcessOptions } from './process-options.js'
import { insertAsPython, workAsPython } from './python-roles.js'
import {
  copyLiveQueue,
  insertContinuously,
  moveTasks,
  purgeBesideUploads,
  retryDeadLetters,
  uploadBesidePurges,
  uploadContinuously,
  work,
} from './roles.js'

const processOptions: ProcessOptions = JSON.parse(process.argv[2] ?? '')
process.on('disconnect', () => process.exit(2))
// The channel only reports the end of the parent; it must not keep this process alive.
process.channel?.unref()

const ROLES = {
  inserter: insertContinuously,
  uploader: uploadContinuously,
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
if (processOptions.role !== 'worker' && !processOptions.role.startsWith('python-')) {
  process.on('SIGTERM', () => stopping.abort())
  process.send?.('ready')
}
await ROLES[processOptions.role](processOptions, stopping.signal)
