import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LeaseLostError } from 'ptq'
import { inFolder, inQueue, openQueue } from './folder.js'
import { insert, leaseNow, leaseOne, message, messages, namesIn } from './messages.js'
import { type Interference, interfered, settableClock, systemError } from './test-files.js'

const OLD_SECONDS = 1_700_000_000

/** Warnings with `code` that the process gives while `work` runs. */
async function warningsOf(code: string, work: () => Promise<void>): Promise<string[]> {
  const said: string[] = []
  const listen = (warning: Error & { code?: string }) => {
    if (warning.code === code) said.push(warning.message)
  }
  process.on('warning', listen)
  try {
    await work()
    // Node gives warnings in the next tick.
    await new Promise(resolve => setImmediate(resolve))
  } finally {
    process.off('warning', listen)
  }
  return said
}

test('files with foreign names are left alone and counted', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 2)
    const foreign = ['.DS_Store', '.nfs00000001', '0.5--x.json', `0--${message(root).id}.json~`]
    for (const name of foreign) writeFileSync(join(root, 'queue', name), '')
    mkdirSync(join(root, 'queue', 'folder'))
    assert.equal((await leaseNow(queue, 10)).length, 2)
    assert.equal(await queue.releaseAll?.(), 2)
    const { enqueued, foreign: counted } = await queue.counts()
    assert.deepEqual({ enqueued, counted }, { enqueued: 2, counted: 5 })
    assert.equal(namesIn(root, 'queue').length, 7)
  }))

test('an empty new file is skipped; an empty old one is handed out for quarantine', () =>
  inQueue(async (queue, root) => {
    const [good] = await insert(queue, 1)
    const { id, body } = message(root)
    const path = join(root, 'queue', `0--${id}.json`)
    writeFileSync(path, '')
    assert.deepEqual(
      (await leaseNow(queue, 10)).map(lease => lease.id),
      [good?.id],
    )
    assert.ok(existsSync(path), 'it keeps its name')
    utimesSync(path, OLD_SECONDS, OLD_SECONDS)
    const empty = await leaseOne(queue)
    assert.equal(empty.body, '')
    await queue.quarantine?.(empty, 'empty')
    assert.deepEqual(namesIn(root, 'quarantine'), [`${id}.json`, `${id}.reason`])
    assert.equal(readFileSync(join(root, 'quarantine', `${id}.reason`), 'utf8'), 'empty\n')
    const { enqueued, quarantined } = await queue.counts()
    assert.deepEqual({ enqueued, quarantined }, { enqueued: 1, quarantined: 1 })
    await assert.rejects(async () => queue.quarantine?.(empty, 'again'), LeaseLostError)

    // As Python does: written after its file was listed.
    const late = message(root)
    const latePath = join(root, 'queue', `0--${late.id}.json`)
    writeFileSync(latePath, body.slice(0, 10))
    const partial = await leaseOne(queue)
    await queue.quarantine?.(partial, 'Unexpected end of JSON')
    assert.equal(readFileSync(latePath, 'utf8'), body.slice(0, 10), 'it was released')
    writeFileSync(latePath, late.body)
    assert.deepEqual(await leaseNow(queue), [], 'still young: it may be written to')
    utimesSync(latePath, OLD_SECONDS, OLD_SECONDS)
    assert.equal((await leaseOne(queue)).body, late.body)
  }))

test('a file that cannot be read is released, the others are leased, and the fault is thrown when nothing else is available', async () => {
  let broken = ''
  const interference: Interference = {
    either(call, path) {
      if (call === 'read' && broken !== '' && path.includes(broken)) throw systemError('EIO', path)
    },
  }
  await inQueue(
    async (queue, root) => {
      const [bad] = await insert(queue, 3)
      broken = bad?.id ?? ''
      assert.equal((await leaseNow(queue, 10)).length, 2)
      assert.ok(namesIn(root, 'queue').includes(`0--${broken}.json`))
      await assert.rejects(leaseNow(queue), { message: /^Reading a task failed in fq:.*EIO.*--/ })
      broken = ''
      assert.equal((await leaseOne(queue)).id, bad?.id)
    },
    { fileSystem: interfered(interference) },
  )
})

test('a task file without read permission is left to others: no lease call fails, and one warning says so', async t => {
  let broken = ''
  const interference: Interference = {
    either(call, path) {
      if (call === 'read' && broken !== '' && path.includes(broken)) throw systemError('EACCES', path)
    },
  }
  const now = performance.now.bind(performance)
  let aheadMs = 0
  t.mock.method(performance, 'now', () => now() + aheadMs)
  const warnings = await warningsOf('PTQ_TASK_NOT_READABLE', () =>
    inQueue(
      async (queue, root) => {
        const [bad] = await insert(queue, 3)
        broken = bad?.id ?? ''
        assert.equal((await leaseNow(queue, 10)).length, 2)
        assert.deepEqual(await leaseNow(queue), [])
        assert.deepEqual(await leaseNow(queue), [])
        assert.ok(namesIn(root, 'queue').includes(`0--${broken}.json`), 'it was released')
        const [later] = await insert(queue, 1)
        assert.equal((await leaseOne(queue)).id, later?.id)
        broken = ''
        assert.deepEqual(await leaseNow(queue), [], 'it is not tried again and again')
        aheadMs += 61_000
        assert.ok((await leaseNow(queue, 10)).some(({ id }) => id === bad?.id))
      },
      { fileSystem: interfered(interference) },
    ),
  )
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /EACCES.*Change the permissions of the files/)
})

for (const code of ['EACCES', 'EROFS', 'ENOSPC', 'EIO', 'EDQUOT']) {
  test(`${code} is not taken for a lost race: every verb throws it with the path`, async () => {
    let broken = false
    const interference: Interference = {
      either(call, path) {
        if (broken && ['rename', 'unlink', 'write', 'openFolder'].includes(call)) throw systemError(code, path)
      },
    }
    await inQueue(
      async (queue, root) => {
        await insert(queue, 2)
        const [lease] = await leaseNow(queue)
        assert.ok(lease)
        const expected = new RegExp(`${code}.*${root}`)
        broken = true
        await assert.rejects(leaseNow(queue), expected)
        await assert.rejects(queue.insert(messages(root, 2), { delaySeconds: 0 }), expected)
        for (const verb of [
          queue.renew([lease], 10),
          queue.release([lease], { delaySeconds: 0 }),
          queue.delete([lease], { tally: true }),
        ]) {
          const [failed] = await verb
          assert.match(failed?.error.message ?? '', expected)
          assert.ok(!(failed?.error instanceof LeaseLostError))
        }
        await assert.rejects(queue.counts(), expected)
        broken = false
        assert.deepEqual(await queue.delete([lease], { tally: true }), [], 'the lease is still ours')
        assert.equal((await leaseNow(queue, 10)).length, 1)
      },
      { fileSystem: interfered(interference) },
    )
  })
}

test('a fault in the middle of an insert batch is reported by index; the other tasks are in the queue', async () => {
  let writes = 0
  const interference: Interference = {
    either(call, path) {
      if (call === 'write' && ++writes % 3 === 0) throw systemError('ENOSPC', path)
    },
  }
  await inQueue(
    async (queue, root) => {
      const failures = await queue.insert(messages(root, 9), { delaySeconds: 0 })
      assert.deepEqual(
        failures.map(({ index }) => index),
        [2, 5, 8],
      )
      assert.equal(namesIn(root, 'queue').length, 6)
      assert.deepEqual(namesIn(root, 'staging'), [])
    },
    { fileSystem: interfered(interference) },
  )
})

test('an insert whose rename fails leaves no file in staging', async () => {
  let isBroken = false
  const fail = (call: string, path: string) => {
    if (isBroken && call === 'rename') throw systemError('EDQUOT', path)
  }
  const fileSystem = interfered({ blocking: fail, pooled: async (call, path) => fail(call, path) })
  for (const durable of [false, true]) {
    await inQueue(
      async (queue, root) => {
        await insert(queue, 1)
        isBroken = true
        await assert.rejects(queue.insert(messages(root, 3), { delaySeconds: 0 }), /EDQUOT/)
        isBroken = false
        assert.deepEqual(namesIn(root, 'staging'), [])
      },
      { fileSystem, durable },
    )
  }
})

test('a takeover of an expired lease is undone if its record cannot be written', async () => {
  const { clock, options } = settableClock()
  let isFull = false
  const interference: Interference = {
    either(call, path) {
      if (isFull && call === 'write') throw systemError('ENOSPC', path)
    },
    clockMs: options.hostNowMs,
  }
  await inQueue(
    async (queue, root) => {
      await insert(queue, 1)
      await leaseOne(queue, 10)
      clock.seconds += 100
      const expired = namesIn(root, 'queue')
      isFull = true
      await assert.rejects(leaseNow(queue), /ENOSPC.*movement/)
      assert.deepEqual(namesIn(root, 'queue'), expired)
      isFull = false
      assert.equal((await leaseOne(queue)).attempt, 2)
    },
    { ...options, fileSystem: interfered(interference) },
  )
})

test('leases that were taken before a fault are handed out', async () => {
  let renames = 0
  const interference: Interference = {
    either(call, path, to) {
      if (call === 'rename' && !to.includes('/0--') && ++renames > 3) throw systemError('EIO', path)
    },
  }
  await inQueue(
    async queue => {
      await insert(queue, 10)
      assert.equal((await leaseNow(queue, 10)).length, 3)
      await assert.rejects(leaseNow(queue, 10), /EIO/)
    },
    { fileSystem: interfered(interference) },
  )
})

test('when the queue folder is removed under a worker its leases are lost, lease calls keep waiting, and an insert creates it again', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 3)
    const leases = await leaseNow(queue, 2)
    rmSync(root, { recursive: true })
    const failures = await queue.delete(leases, { tally: true })
    assert.equal(failures.length, 2)
    assert.ok(failures.every(({ error }) => error instanceof LeaseLostError))
    assert.deepEqual(await leaseNow(queue), [])
    await assert.rejects(queue.counts(), /Expected a queue at .*found nothing there/)
    assert.ok(!existsSync(root), 'only an insert makes a queue')
    await insert(queue, 2)
    assert.equal((await leaseNow(queue, 10)).length, 2)
  }))

test('on a path without a queue readers throw and create nothing, and a lease call waits', () =>
  inFolder(async folder => {
    const root = join(folder, 'not', 'yet')
    await using opened = await openQueue(root)
    const { queue } = opened
    for (const verb of [
      () => queue.counts(),
      () => queue.purge({ native: false }),
      () => queue.rezero?.(),
      () => queue.releaseAll?.(),
      () => queue.list?.()[Symbol.asyncIterator]().next(),
    ]) {
      await assert.rejects(async () => verb(), /^Error: Expected a queue at .*, found nothing there\. Check the path/)
    }
    const said = await warningsOf('PTQ_NO_QUEUE', async () => {
      assert.deepEqual(await leaseNow(queue), [])
      assert.deepEqual(await leaseNow(queue), [])
    })
    assert.equal(said.length, 1)
    assert.ok(!existsSync(join(folder, 'not')))
    const waiting = queue.lease({ seconds: 60, max: 1, waitSeconds: 600 })
    await using inserter = await openQueue(root)
    await insert(inserter.queue, 1)
    assert.equal((await waiting).length, 1)
  }))

test('a folder that is no queue is refused', () =>
  inFolder(async folder => {
    await using opened = await openQueue(folder)
    await assert.rejects(opened.queue.counts(), /found a folder without a `queue` folder in it/)
    assert.deepEqual(namesIn(folder, '.'), [])
  }))

test('a path that is a file is refused when it is opened', () =>
  inFolder(async folder => {
    const path = join(folder, 'file')
    writeFileSync(path, 'mine')
    await assert.rejects(openQueue(path), /Expected the folder of a queue at .*file, found a file/)
    await assert.rejects(openQueue(join(path, 'below')), /ENOTDIR/)
    assert.equal(readFileSync(path, 'utf8'), 'mine')
  }))

test('invalid arguments are refused before anything is changed', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    for (const options of [{ concurrency: 0 }, { concurrency: 1.5 }, { concurrency: Number.NaN }]) {
      await assert.rejects(openQueue(root, options), /^TypeError: Expected `concurrency` to be an integer of 1 or more/)
    }
    const durable: unknown = 'yes'
    await assert.rejects(openQueue(root, { durable: durable as boolean }), /Expected `durable` to be true or false/)
    await using opened = await openQueue(root)
    const { queue } = opened
    const body = 'x'
    for (const id of ['', '../../up', 'A0000000-0000-4000-8000-000000000000']) {
      await assert.rejects(queue.insert([message(root), { id, body }], { delaySeconds: 0 }), /Expected `message.id`/)
      await assert.rejects(async () => queue.failures?.({ id }), /Expected `message.id`/)
    }
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) {
      await assert.rejects(queue.insert([message(root)], { delaySeconds: bad }), /Expected `delaySeconds`/)
      await assert.rejects(queue.lease({ seconds: bad, max: 1, waitSeconds: 0 }), /Expected `seconds`/)
      await assert.rejects(queue.lease({ seconds: 1, max: 1, waitSeconds: bad }), /Expected `waitSeconds`/)
      await assert.rejects(queue.renew([], bad), /Expected `seconds`/)
      await assert.rejects(queue.release([], { delaySeconds: bad }), /Expected `delaySeconds`/)
    }
    await assert.rejects(queue.lease({ seconds: 0, max: 1, waitSeconds: 0 }), /more than 0/)
    for (const max of [0, -1, 1.5, Number.NaN]) {
      await assert.rejects(
        queue.lease({ seconds: 1, max, waitSeconds: 0 }),
        /Expected `max` to be an integer of 1 or more/,
      )
    }
    for (const count of [-1, 0.5, Number.NaN])
      await assert.rejects(async () => queue.addInserted?.(count), /Expected `count`/)
    assert.deepEqual(await queue.insert([], { delaySeconds: 0 }), [])
    assert.ok(!existsSync(root))

    await insert(queue, 1)
    const lease = await leaseOne(queue)
    for (const handle of [undefined, {}, { until: '../x', from: 0 }, { until: 1.5, from: 0 }, { until: 1, from: -1 }]) {
      const [failed] = await queue.delete([{ ...lease, handle }], { tally: true })
      assert.match(failed?.error.message ?? '', /Expected `lease.handle`/)
    }
    assert.deepEqual(await queue.delete([lease], { tally: true }), [])
  }))

test('a purge ends where another host took the uploads away, although this one still shows them', () => {
  let isStale = false
  const fileSystem = interfered({
    either: (call, path) => {
      if (isStale && call === 'rename' && path.endsWith('/uploads')) throw systemError('ENOENT', path)
    },
  })
  return inQueue(
    async queue => {
      await insert(queue, 2)
      isStale = true
      await queue.purge({ native: false })
      assert.equal((await queue.counts()).enqueued, 0)
    },
    { fileSystem },
  )
})

test('a purge that cannot move the uploads, since their new folder was removed, says so', () => {
  const fileSystem = interfered({
    either: (call, path) => {
      const isInStaging = call === 'write' && path.includes('/staging/removed.')
      if (isInStaging || (call === 'rename' && path.endsWith('/uploads'))) throw systemError('ENOENT', path)
    },
  })
  return inQueue(
    async queue => {
      await insert(queue, 2)
      await assert.rejects(queue.purge({ native: false }), /Purging failed in fq:.*ENOENT/)
      assert.equal((await queue.counts()).enqueued, 2)
    },
    { fileSystem },
  )
})
