// Tasks whose files load in the main thread, and not in a pool thread. The helper of `needsHelper` is missing, or ends
// the thread, as long as the folder in PTQ_TEST_HELPERS says so.
import { existsSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { queueable } from 'ptq'

const folder = process.env.PTQ_TEST_HELPERS ?? ''
if (!isMainThread && existsSync(`${folder}/exits`)) process.exit(3)
if (!isMainThread) await import(`${folder}/helper.mjs`)

export const needsHelper = queueable(
  function needsHelper(n: number) {
    return n
  },
  { module: 'load-tasks', name: 'needsHelper', url: import.meta.url },
)
