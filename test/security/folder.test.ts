import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { partial, queueable, TaskQueue } from 'ptq'
import { open } from '#ptq/backends/fq/index.js'
import { inFolder } from '../fq/folder.js'
import { insert, leaseOne } from '../fq/messages.js'

const succeed = queueable(function succeed() {
  return undefined
})

/** All that is in a folder, with its permissions. */
function entriesIn(folder: string): { path: string; mode: number; isFolder: boolean }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(path => {
    const stats = lstatSync(join(folder, path))
    return { path, mode: stats.mode & 0o777, isFolder: stats.isDirectory() }
  })
}

for (const umask of [0o077, 0o002]) {
  test(`with the umask ${umask.toString(8).padStart(3, '0')} no other user gets more permissions than it allows`, t =>
    inFolder(async folder => {
      const before = process.umask(umask)
      t.after(() => process.umask(before))
      const path = join(folder, 'queue')
      await using tq = new TaskQueue(`fq://${path}`, { progress: false })
      await tq.insert([partial(succeed), partial(succeed)], { resume: 'an-upload' })
      await tq.insert(partial(succeed), { delaySeconds: 100 })
      await tq.poll({ parallel: 0, tally: true, stopFn: ({ executed }) => executed === 2 })
      const entries = entriesIn(path)
      assert.ok(entries.length > 8)
      for (const { path: entry, mode, isFolder } of entries) {
        assert.equal(mode.toString(8), ((isFolder ? 0o777 : 0o666) & ~umask).toString(8), entry)
      }
    }))
}

test('names and ids that lead out of the queue’s folder are refused, or treated as plain names', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const outside = join(folder, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'mine'), 'untouched')
    const queue = await open({ protocol: 'fq', path })
    const tq = new TaskQueue(`fq://${path}`, { progress: false })
    for (const name of ['../outside/mine', '../../etc/x', '..', '.', '/etc/passwd', 'a/b', 'a\\b', 'a\0b', '~x', '']) {
      await assert.rejects(queue.insert([{ id: name, body: '' }], { delaySeconds: 0 }), /Expected `message.id`/)
      await assert.rejects(async () => queue.failures?.({ id: name }), /Expected `message.id`/)
      await assert.rejects(tq.insert([partial(succeed)], { resume: name }), /Expected `resume`/)
    }
    await insert(queue, 1)
    const lease = await leaseOne(queue)
    for (const name of ['../outside/mine', `../outside/1--${lease.id}.json`, `0--../${lease.id}.json`]) {
      const stolen = { ...lease, handle: { until: name, from: name } }
      for (const change of [
        queue.delete([stolen], { tally: true }),
        queue.renew([stolen], 10),
        queue.release([stolen], { delaySeconds: 0 }),
      ]) {
        const [failed] = await change
        assert.match(failed?.error.message ?? '', /Expected `lease.handle`/)
      }
      const moved = { ...lease, handle: { ...Object(lease.handle), from: `../../outside/0--${lease.id}.json` } }
      const [refused] = await queue.release([moved], { delaySeconds: 0 })
      assert.match(refused?.error.message ?? '', /Expected `lease.handle`/)
    }
    const status = { host: 'h', pid: 1, threads: 1, startedAtMs: 0, writtenAtMs: 0, executed: 0, failed: 0 }
    await queue.reportWorker?.('../../outside/worker', { ...status, tasksPerSecond: 0, rssMb: 0, running: [] })
    await queue.close()
    await tq.close()
    assert.deepEqual(readdirSync(outside), ['mine'])
    const escaped = readdirSync(folder).filter(
      name => relative(folder, join(folder, name)) !== name || !['queue', 'outside'].includes(name),
    )
    assert.deepEqual(escaped, [])
  }))
