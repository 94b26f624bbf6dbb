/**
 * The mounts of a network filesystem: `PTQ_NETWORK_DIRS=/mnt/a/x:/mnt/b/x` names one folder of it through two mounts,
 * as `.ci/two-mounts` makes them. `PTQ_NETWORK_REASON` says why there are none.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { basename, delimiter, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { namesIn } from '../fq/messages.js'

const VARIABLE = 'PTQ_NETWORK_DIRS'
const [here, there, ...more] = (process.env[VARIABLE] ?? '').split(delimiter).filter(path => path !== '')

/** One folder as two hosts see it. */
export interface TwoViews {
  readonly here: string
  readonly there: string
}

/** Longer than any client keeps names and attributes without asking: 60 s on NFS, 1 s on GlusterFS and SSHFS. */
const PATIENCE_MS = 70_000

/** Waits for what another mount shows late; resolves with how long that took. Milliseconds. */
export async function untilSeen(isThere: () => boolean | Promise<boolean>, what: string): Promise<number> {
  const startMs = performance.now()
  while (!(await isThere())) {
    const waitedMs = performance.now() - startMs
    if (waitedMs > PATIENCE_MS) throw new Error(`Expected ${what} within ${PATIENCE_MS / 1000} s`)
    await setTimeout(5)
  }
  return performance.now() - startMs
}

/** A test of two mounts. Without mounts it is skipped, with the reason in the list of tests and on stderr. */
export function networkTest(name: string, work: (views: TwoViews, t: TestContext) => Promise<void>): void {
  if (here === undefined || there === undefined || more.length > 0) {
    const reason = process.env.PTQ_NETWORK_REASON || `${VARIABLE} names no two mounts of a network filesystem`
    test(name, t => t.skip(`NOT tested: ${reason}, see docs/reliability.md`))
    return
  }
  test(name, async t => {
    const folder = await mkdtemp(join(here, 'ptq-network-'))
    const views = { here: folder, there: join(there, basename(folder)) }
    await untilSeen(() => namesIn(there, '.').includes(basename(folder)), `${there} to be another mount of ${here}`)
    await work(views, t)
    await rm(folder, { recursive: true })
  })
}
