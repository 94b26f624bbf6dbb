import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Backend } from '#ptq/backend/backend.js'
import { type FileQueueOptions, open } from '#ptq/backends/fq/index.js'

// A disk in memory if there is one (Linux), for tests with very many files: a third of the time.
const MEMORY = '/dev/shm'
export const fastDisk = existsSync(MEMORY) ? MEMORY : tmpdir()

/** Runs `work` in a new folder, which is removed when it succeeds and kept when it fails. */
export async function inFolder(work: (folder: string) => Promise<void>, disk = tmpdir()): Promise<void> {
  const folder = await mkdtemp(join(disk, 'ptq-fq-'))
  await work(folder)
  await rm(folder, { recursive: true })
}

/** Runs `work` on a queue in a new folder. */
export function inQueue(
  work: (queue: Backend, root: string) => Promise<void>,
  options: FileQueueOptions = {},
): Promise<void> {
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using opened = await openQueue(root, options)
    await work(opened.queue, root)
  })
}

/** Opens the queue at `root`; it is closed at the end of the caller's block. */
export async function openQueue(root: string, options: FileQueueOptions = {}) {
  const queue = await open({ protocol: 'fq', path: root }, options)
  return { queue, [Symbol.asyncDispose]: () => queue.close() }
}
