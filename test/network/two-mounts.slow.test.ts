// Two mounts of a network filesystem, each with what it keeps in memory, are two hosts to the queue.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorCode, isMissing, isStaleHandle } from '#ptq/backends/fq/file-system.js'
import { openQueue } from '../fq/folder.js'
import { insert, leaseNow } from '../fq/messages.js'
import { startProcess } from '../fq/orders.js'
import { networkTest, untilSeen } from './mounts.js'

const TOTAL = 4_000
const NAMES = 300

networkTest(
  `4 processes on two mounts insert and drain ${TOTAL} tasks: each is leased once, none is lost`,
  async (views, t) => {
    const roots = [views.here, views.there, views.here, views.there].map(view => join(view, 'queue-of-test'))
    const notes = await mkdtemp(join(tmpdir(), 'ptq-network-'))
    const logs = roots.map((_, index) => join(notes, `log-${index}`))
    const processes = await Promise.all(roots.map(root => startProcess(root)))
    try {
      const count = TOTAL / processes.length
      await Promise.all(
        processes.map((each, index) => each.ask({ verb: 'work', count, batch: 50, log: logs[index] ?? '' })),
      )
    } finally {
      await Promise.all(processes.map(each => each[Symbol.asyncDispose]()))
    }
    const finished = logs.flatMap(log => readFileSync(log, 'utf8').split('\n').filter(Boolean))
    assert.equal(finished.length, TOTAL)
    assert.equal(new Set(finished).size, TOTAL)
    for (const log of logs) t.diagnostic(`finished by one process: ${readFileSync(log, 'utf8').split('\n').length}`)
    await using opened = await openQueue(roots[1] ?? '')
    // A mount may list a name for as long as it keeps names after the other mount has removed the file.
    await untilSeen(async () => (await opened.queue.counts()).enqueued === 0, 'an empty queue')
    const { inserted, completed } = await opened.queue.counts()
    assert.equal(inserted, TOTAL)
    // Not every network filesystem appends for two hosts without overwriting: open(2) on O_APPEND and NFS.
    t.diagnostic(`completions counted: ${completed} of ${TOTAL}`)
    assert.ok(completed <= TOTAL)
  },
)

networkTest('a name that two hosts rename at the same time goes to one of them', async ({ here, there }, t) => {
  const outcomes = new Map<string, number>()
  for (let index = 0; index < NAMES; index++) {
    writeFileSync(join(here, `0--${index}`), String(index))
    await untilSeen(() => existsSync(join(there, `0--${index}`)), 'a file to be seen')
    const [left, right] = await Promise.allSettled([
      rename(join(here, `0--${index}`), join(here, `1--${index}`)),
      rename(join(there, `0--${index}`), join(there, `2--${index}`)),
    ])
    const codes = [left, right].map(each => (each.status === 'fulfilled' ? 'won' : (errorCode(each.reason) ?? '?')))
    assert.equal(codes.filter(code => code === 'won').length, 1, `renames of ${index}: ${codes}`)
    for (const each of [left, right]) {
      const isRefused = each.status === 'rejected' && (isMissing(each.reason) || isStaleHandle(each.reason))
      assert.ok(each.status === 'fulfilled' || isRefused, codes.join())
    }
    const key = codes.join(' / ')
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1)
  }
  for (const [codes, count] of outcomes) t.diagnostic(`here / there: ${codes}: ${count} times`)
})

networkTest(
  'leases of a killed worker on one mount are taken over through the other, as second attempts',
  async ({ here, there }) => {
    await using ours = await openQueue(join(there, 'queue-of-test'))
    await insert(ours.queue, 20)
    const victim = await startProcess(join(here, 'queue-of-test'))
    let leased = 0
    const leaseMore = async () => {
      leased += await victim.ask({ verb: 'lease', max: 20, seconds: 3 })
      return leased === 20
    }
    await untilSeen(leaseMore, '20 leases')
    await victim.kill()
    const attempts: number[] = []
    await untilSeen(async () => {
      const leases = await leaseNow(ours.queue, 20, 600)
      attempts.push(...leases.map(({ attempt }) => attempt))
      assert.deepEqual(await ours.queue.delete(leases, { tally: true }), [])
      return attempts.length === 20
    }, 'all leases to run out')
    assert.deepEqual(attempts, Array(20).fill(2))
  },
)

networkTest('both mounts tell the time by the same clock', async ({ here, there }, t) => {
  writeFileSync(join(here, 'now'), '')
  writeFileSync(join(there, 'now-too'), '')
  const apart = Math.abs(statSync(join(here, 'now')).mtimeMs - statSync(join(there, 'now-too')).mtimeMs)
  t.diagnostic(`two files made one after the other through two mounts are ${apart.toFixed(0)} ms apart`)
  assert.ok(apart < 5_000)
})
