// Tasks whose files can't be loaded in a thread, in the main process they can. Of `needsHelper` the helper is missing, or
// ends the thread, as long as the folder in PTQ_TEST_HELPERS says so.
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
