// Readings of a folder whose files are renamed at the same time: some names are missed, others are seen twice.
import assert from 'node:assert/strict'
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { nameOf } from '#ptq/backends/fq/names.js'
import { fastDisk, inFolder, openQueue } from './folder.js'
import { insert, leaseNow, namesIn } from './messages.js'
import { withCalls } from './test-files.js'

const FAR = 9_999_999_999

/** The filesystem with `shown` between the real names in `queue/` and who reads them, at each reading of that folder. */
function showing(shown: (names: string[], reading: number) => string[]) {
  let openings = 0
  return withCalls(calls => ({
    async openFolder(path) {
      const folder = await calls.openFolder(path)
      if (folder === undefined || !path.endsWith('/queue')) return folder
      const all: string[] = []
      for (let names = await folder.read(); names.length > 0; names = await folder.read()) all.push(...names)
      let left = shown(all, ++openings)
      const read = () => {
        const names = left
        left = []
        return names
      }
      return { read, close: () => folder.close() }
    },
  }))
}

async function idsOf(queue: Backend): Promise<string[]> {
  const ids: string[] = []
  assert.ok(queue.list !== undefined)
  for await (const { id } of queue.list()) ids.push(id)
  return ids.sort()
}

test('a listing shows each task once: one that a reading missed, one seen under two names, and one renamed before it was read', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const [a, b, c] = [0, 1, 2]
    let order: string[] = []
    const rename = (index: number, from: number, to: number) => {
      const id = order[index] ?? ''
      renameSync(join(root, 'queue', nameOf(from, id)), join(root, 'queue', nameOf(to, id)))
      return nameOf(to, id)
    }
    const fileSystem = showing((names, reading) => {
      if (reading === 1) {
        const leftOut = names.filter(name => !name.includes(order[a] ?? ''))
        rename(a, 0, FAR)
        rename(c, 0, FAR)
        // The second one is seen again under its new name.
        return [...leftOut, nameOf(FAR, order[b] ?? '')]
      }
      // Left out in the second reading too, by which it has another name than at first.
      if (reading === 2) {
        const before = names.filter(name => !name.includes(order[a] ?? ''))
        rename(a, FAR, FAR + 1)
        return before
      }
      return names
    })
    await using opened = await openQueue(root, { fileSystem })
    order = (await insert(opened.queue, 4)).map(({ id }) => id)
    assert.deepEqual(await idsOf(opened.queue), order.toSorted())
  }))

test('a task that is renamed in every reading before it can be read is named by an error, after all others', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    let restless = ''
    let times = 0
    const fileSystem = showing(names => {
      const from = names.find(name => name.includes(restless))
      if (restless !== '' && from !== undefined) {
        renameSync(join(root, 'queue', from), join(root, 'queue', nameOf(FAR + times++, restless)))
      }
      return names
    })
    await using opened = await openQueue(root, { fileSystem })
    const [first, second] = await insert(opened.queue, 2)
    assert.ok(first !== undefined && second !== undefined && opened.queue.list !== undefined)
    restless = first.id
    const ids: string[] = []
    await assert.rejects(
      async () => {
        for await (const { id } of opened.queue.list?.() ?? []) ids.push(id)
      },
      new RegExp(`renamed in each of 20 readings.*${restless}`),
    )
    assert.deepEqual(ids, [second.id])
  }))

test('a listing over a network waits for names that another host has changed', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    let stale: { readonly old: string; readonly current: string } | undefined
    let firstMs: number | undefined
    const shown = showing(names => {
      if (stale === undefined) return names
      firstMs ??= performance.now()
      // Far longer than twenty readings take.
      const isCached = performance.now() < firstMs + 2_000
      return isCached ? names.map(name => (name === stale?.current ? stale.old : name)) : names
    })
    const fileSystem = { ...shown, placeOf: async () => 'network' as const }
    await using opened = await openQueue(root, { fileSystem })
    const ids = (await insert(opened.queue, 2)).map(({ id }) => id)
    const [id = ''] = ids
    const names = { old: nameOf(0, id), current: nameOf(FAR, id) }
    renameSync(join(root, 'queue', names.old), join(root, 'queue', names.current))
    stale = names
    assert.deepEqual(await idsOf(opened.queue), ids.toSorted())
  }))

test('a listing continues as long as each reading finds a task that earlier readings missed', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const fileSystem = showing((names, reading) => {
      // A folder that stays as it is was read once for all.
      const other = join(root, 'queue', 'other')
      writeFileSync(other, '')
      rmSync(other)
      return names.sort().slice(0, reading)
    })
    await using opened = await openQueue(root, { fileSystem })
    const ids = (await insert(opened.queue, 40)).map(({ id }) => id)
    for (const name of namesIn(root, 'queue')) utimesSync(join(root, 'queue', name), 1_700_000_000, 1_700_000_000)
    assert.deepEqual(await idsOf(opened.queue), ids.toSorted())
  }))

test('releaseAll ends a lease that a reading missed and one that was renewed before it could be ended, and no later lease', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    let order: string[] = []
    let openings = 0
    const path = (time: number, index: number) => join(root, 'queue', nameOf(time, order[index] ?? ''))
    const fileSystem = showing(names => {
      if (order.length === 0) return names
      openings++
      // Left out in the first reading, while it is renewed; the second one is renewed when its name was read.
      if (openings === 1) {
        renameSync(path(FAR, 1), path(FAR + 1, 1))
        return names.filter(name => !name.includes(order[0] ?? ''))
      }
      // The third one was released by the first reading, and another worker has leased it since.
      if (openings === 2) {
        const released = names.find(name => name.includes(order[2] ?? '')) ?? ''
        renameSync(join(root, 'queue', released), path(FAR, 2))
        return names.map(name => (name === released ? nameOf(FAR, order[2] ?? '') : name))
      }
      return names
    })
    await using opened = await openQueue(root, { fileSystem })
    const ids = (await insert(opened.queue, 3)).map(({ id }) => id)
    for (const id of ids) {
      renameSync(join(root, 'queue', nameOf(0, id)), join(root, 'queue', nameOf(FAR, id)))
      utimesSync(join(root, 'queue', nameOf(FAR, id)), 1_700_000_000, 1_700_000_000)
    }
    order = ids
    assert.equal(await opened.queue.releaseAll?.(), 3)
    const leased = namesIn(root, 'queue').filter(name => !/^[23]--/.test(name))
    assert.deepEqual(leased, [nameOf(FAR, ids[2] ?? '')])
  }))

test('a queue whose only task is missed by four readings is not counted as empty', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    let isBusy = false
    let times = 0
    const fileSystem = showing(names => {
      const [from] = names
      if (!isBusy || from === undefined || times === 4) return names
      renameSync(join(root, 'queue', from), join(root, 'queue', nameOf(FAR + times++, from.slice(-41, -5))))
      return []
    })
    await using opened = await openQueue(root, { fileSystem })
    await insert(opened.queue, 1)
    isBusy = true
    assert.equal((await opened.queue.counts()).enqueued, 1)
    assert.equal(times, 4)
  }))

test('a copy of a queue whose tasks are leased, renewed and released has each task once', () =>
  inFolder(async folder => {
    await using source = new TaskQueue(join(folder, 'source'), { progress: false })
    await using destination = new TaskQueue(join(folder, 'destination'), { progress: false })
    await using worker = await openQueue(join(folder, 'source'))
    const ids = (await insert(worker.queue, 10_000)).map(({ id }) => id)
    let isOver = false
    const busy = async () => {
      while (!isOver) {
        const leases = await leaseNow(worker.queue, 200)
        assert.deepEqual(await worker.queue.renew(leases, 100), [])
        assert.deepEqual(await worker.queue.release(leases, { delaySeconds: 0 }), [])
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    const work = busy()
    const copied = await source.copyTo(destination).finally(() => {
      isOver = true
    })
    await work
    const found = namesIn(join(folder, 'destination'), 'queue').map(name => name.slice(-41, -5))
    assert.equal(copied, ids.length)
    assert.deepEqual(found.sort(), ids.sort())
    assert.equal(await destination.inserted(), ids.length)
  }, fastDisk))
