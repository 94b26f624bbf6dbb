import { LocalTaskQueue } from 'ptq'
import type { Digest, Digested, DigestTask } from './tasks.js'

/** Has the tasks run on all cores of this machine, and once more on one to compare. */
export async function hashHere(tasks: readonly DigestTask[]): Promise<Digested> {
  await using lq = new LocalTaskQueue({ parallel: true })
  const digests = new Map<string, Digest>()
  const reasons = new Map<string, string>()
  const hashed: DigestTask[] = []
  for await (const result of lq.results(tasks, { ordered: true })) {
    const path = String(result.task.args[0])
    if (result.ok) {
      hashed.push(result.task)
      digests.set(path, result.value)
    } else {
      reasons.set(path, result.error.message)
    }
  }

  // Both once more, now that the first pass has brought all files into the page cache and the threads are there.
  const allCores = await filesPerSecond(hashed.length, () => lq.insertAll(hashed))
  const oneThread = await filesPerSecond(hashed.length, () => hashed.forEach(task => void task.execute()))
  const speed = `${allCores} files/s on all cores, ${oneThread} in one thread (page cache warm for both)`
  return { digests, reasons, speed }
}

async function filesPerSecond(files: number, work: () => unknown): Promise<number> {
  const startMs = performance.now()
  await work()
  return Math.round((files / (performance.now() - startMs)) * 1000)
}
