import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inQueue, openQueue } from './folder.js'
import { insert, namesIn } from './messages.js'
import { interfered, systemError } from './test-files.js'

/** Options of a queue whose filesystem's clock is a minute ahead: every lease and lock of now is over. */
function aMinuteLater() {
  const hostNowMs = () => Date.now() + 60_000
  return { fileSystem: interfered({ clockMs: hostNowMs }), hostNowMs }
}

test('a counter update whose last rename is late does not undo the update of the process that took over the lock', () =>
  inQueue(async (queue, root) => {
    await queue.addInserted?.(5)
    let hangs: (() => void) | undefined
    let goOn: (() => void) | undefined
    const hanging = new Promise<void>(resolve => {
      hangs = resolve
    })
    const answered = new Promise<void>(resolve => {
      goOn = resolve
    })
    const fileSystem = interfered({
      async pooled(call, _path, to) {
        if (call !== 'rename' || !to.endsWith('/insertions')) return
        hangs?.()
        await answered
      },
    })
    await using late = await openQueue(root, { fileSystem, durable: true })
    const adding = late.queue.addInserted?.(3)
    await hanging
    await using other = await openQueue(root, aMinuteLater())
    await other.queue.addInserted?.(10)
    assert.equal((await queue.counts()).inserted, 15)
    goOn?.()
    await adding
    assert.equal((await queue.counts()).inserted, 18)
    assert.deepEqual(namesIn(root, 'staging'), [])
    assert.deepEqual(namesIn(root, 'insertions.lock'), ['free.json'])
  }))

test('a process that is stopped just before it counts adds its tasks to what others counted in the meantime', t =>
  inQueue(async (queue, root) => {
    if (process.platform !== 'linux') {
      t.diagnostic('Not shown: only Linux tells here whether a process is stopped')
      return
    }
    await queue.addInserted?.(5)
    const child = fork(join(import.meta.dirname, 'late-counter.js'), [root])
    const left = once(child, 'exit')
    const isStopped = () => / T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))
    while (child.exitCode === null && !isStopped()) await sleep(5)
    await using other = await openQueue(root, aMinuteLater())
    await other.queue.addInserted?.(10)
    child.kill('SIGCONT')
    assert.deepEqual(await left, [0, null])
    assert.equal((await queue.counts()).inserted, 18)
  }))

test('a counter that Python has emptied and not written yet is waited for, by readers and by writers', () =>
  inQueue(async (queue, root) => {
    await queue.addInserted?.(1)
    const path = join(root, 'insertions')
    let looks = Number.NaN
    const fileSystem = interfered({
      async pooled(call, read) {
        if (call === 'read' && read === path && --looks === 0) writeFileSync(path, '1000620')
      },
    })
    await using opened = await openQueue(root, { fileSystem, durable: true })
    const verbs = [
      async () => assert.equal((await opened.queue.counts()).inserted, 1_000_620),
      async () => opened.queue.addInserted?.(40),
    ]
    for (const verb of verbs) {
      writeFileSync(path, '')
      looks = 3
      await verb()
    }
    assert.equal(readFileSync(path, 'utf8'), '1000660')
  }))

test('a counter that stays empty is unknown to readers, and writers continue from 0 with a warning', () =>
  inQueue(async (queue, root) => {
    await queue.addInserted?.(1)
    writeFileSync(join(root, 'insertions'), '')
    assert.ok(Number.isNaN((await queue.counts()).inserted))
    const said: unknown[] = []
    const listen = (warning: Error & { code?: string }) => said.push(warning.code)
    process.on('warning', listen)
    try {
      await queue.addInserted?.(3)
      // Node gives warnings in the next tick.
      await new Promise(resolve => setImmediate(resolve))
    } finally {
      process.off('warning', listen)
    }
    assert.deepEqual(said, ['PTQ_COUNT_LOST'])
    assert.equal((await queue.counts()).inserted, 3)
  }))

test('tasks that are deleted but cannot be counted as completed stay deleted, with one warning for each open queue', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 3)
    rmSync(join(root, 'completions'), { force: true })
    mkdirSync(join(root, 'completions'))
    const said: (Error & { code?: string })[] = []
    const listen = (warning: Error & { code?: string }) => said.push(warning)
    process.on('warning', listen)
    try {
      const [first, ...others] = await queue.lease({ seconds: 600, max: 3, waitSeconds: 0 })
      assert.ok(first !== undefined)
      assert.deepEqual(await queue.delete(others, { tally: true }), [])
      assert.deepEqual(await queue.delete([first], { tally: true }), [])
      await new Promise(resolve => setImmediate(resolve))
    } finally {
      process.off('warning', listen)
    }
    assert.deepEqual(
      said.map(({ code }) => code),
      ['PTQ_NOT_COUNTED'],
    )
    assert.match(
      said[0]?.message ?? '',
      /^2 tasks were finished and removed from fq:.*, but not counted as completed: /,
    )
    assert.deepEqual(namesIn(root, 'queue'), [])
  }))

test('an updated counter is no failure, whatever fails after its rename', () =>
  inQueue(async (queue, root) => {
    await queue.addInserted?.(5)
    const fileSystem = interfered({
      async pooled(call, path, to) {
        if (call === 'rename' && to === join(root, 'insertions.lock', 'free.json')) throw systemError('EIO', path)
      },
    })
    await using failing = await openQueue(root, { fileSystem, durable: true })
    await failing.queue.addInserted?.(3)
    assert.equal((await queue.counts()).inserted, 8)
  }))

test('the lock of a count that could not be made, as on a full disk, leaves nothing in staging', async () => {
  let isFull = true
  const either = (call: string, path: string) => {
    if (isFull && call === 'write' && path.includes('/lock.')) throw systemError('ENOSPC', path)
  }
  await inQueue(
    async (queue, root) => {
      await insert(queue, 1)
      await assert.rejects(async () => queue.addInserted?.(1), /ENOSPC/)
      assert.deepEqual(namesIn(root, 'staging'), [])
      isFull = false
      await queue.addInserted?.(1)
      assert.equal((await queue.counts()).inserted, 1)
    },
    { fileSystem: interfered({ either }) },
  )
})
