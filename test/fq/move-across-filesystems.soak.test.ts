/**
 * Moves between two filesystems whose destination disappears, whose server has stale handles, or whose mover is late.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import type { FileCalls } from '#ptq/backends/fq/file-system.js'
import { fastDisk, inFolder, openQueue } from './folder.js'
import { insert, namesIn } from './messages.js'
import { interfered, systemError } from './test-files.js'

type Check = (call: keyof FileCalls, path: string, to: string) => void | Promise<void>

/** `check` runs before each call; between folders of different names below `folder` nothing can be renamed. */
function apart(folder: string, check: Check = () => undefined) {
  const sideOf = (path: string) => path.slice(folder.length + 1).split('/')[0]
  const pooled = async (call: keyof FileCalls, path: string, to: string) => {
    await check(call, path, to)
    if (call === 'rename' && sideOf(path) !== sideOf(to)) throw systemError('EXDEV', path)
  }
  // All calls are pooled ones, so that `check` may wait.
  const fileSystem = interfered({ pooled })
  // A host with a stale name: a rename onto the current name of the file "succeeds".
  const rename: FileCalls['rename'] = async (from, to, how) =>
    (await fileSystem.pooled.rename(from, to, how)) || (!existsSync(from) && existsSync(to))
  return {
    fileSystem: { ...fileSystem, pooled: { ...fileSystem.pooled, rename }, placeOf: async () => 'network' as const },
  }
}

async function moveAll(from: Backend, to: Backend): Promise<number> {
  const moving = from.moveTo?.(to, { signal: new AbortController().signal })
  assert.ok(moving)
  let moved = 0
  for await (const some of moving) moved += some
  return moved
}

/** Moves until nothing is left: leases of a failed move expire by the clock in `options`. */
async function moveAgain(here: string, there: string, options: ReturnType<typeof apart>, laterMs = 600_000) {
  const hostNowMs = () => Date.now() + laterMs
  const later = { hostNowMs, fileSystem: { ...options.fileSystem } }
  for (const calls of ['blocking', 'pooled'] as const) {
    later.fileSystem[calls] = { ...later.fileSystem[calls], clockMs: hostNowMs }
  }
  await using from = await openQueue(here, later)
  await using to = await openQueue(there, later)
  return await moveAll(from.queue, to.queue)
}

function idsIn(root: string): string[] {
  return namesIn(root, 'queue')
    .map(name => name.slice(name.indexOf('--') + 2, -'.json'.length))
    .sort()
}

/** True for the rename that puts a moved task into the destination's queue. */
function isArrival(there: string, path: string, to: string): boolean {
  return path.startsWith(join(there, 'arriving/')) && to.startsWith(join(there, 'queue/'))
}

/** A fault of the destination before the n-th call of a move, and its repair after the move has failed. */
const faults: Record<string, { apply(there: string): void; revert(there: string): void }> = {
  'whose queue folder is moved away': {
    apply: there => renameSync(join(there, 'queue'), join(there, 'away')),
    revert(there) {
      // A move creates the folder again; a user then merges the contents of both.
      if (!existsSync(join(there, 'queue'))) mkdirSync(join(there, 'queue'))
      for (const name of readdirSync(join(there, 'away'))) {
        assert.ok(!existsSync(join(there, 'queue', name)), `${name} is there twice`)
        renameSync(join(there, 'away', name), join(there, 'queue', name))
      }
      rmSync(join(there, 'away'), { recursive: true })
    },
  },
  'which is moved away as a whole': {
    apply: there => renameSync(there, `${there}-away`),
    revert(there) {
      rmSync(there, { recursive: true, force: true })
      renameSync(`${there}-away`, there)
    },
  },
}

for (const [what, { apply, revert }] of Object.entries(faults)) {
  test(`a move between filesystems to a queue ${what}, before any of its calls, loses and duplicates nothing`, async () => {
    let failures = 0
    for (let before = 1, isOver = false; !isOver; before++) {
      await inFolder(async folder => {
        const [here, there] = [join(folder, 'here'), join(folder, 'there')]
        await using source = await openQueue(here)
        await using target = await openQueue(there)
        const sent = [...(await insert(source.queue, 3)), ...(await insert(target.queue, 1))].map(({ id }) => id).sort()
        let calls = 0
        let armed = false
        const options = apart(folder, () => {
          if (armed && ++calls === before) apply(there)
        })
        await using from = await openQueue(here, options)
        await using to = await openQueue(there, options)
        // The folders are made before: a move makes a queue that isn't there.
        await moveAll(to.queue, from.queue)
        await moveAll(from.queue, to.queue)
        assert.deepEqual(idsIn(there), sent)
        await moveAll(to.queue, from.queue)
        armed = true
        let moved = 0
        try {
          moved = await moveAll(from.queue, to.queue)
          isOver = calls < before
        } catch {
          failures++
        }
        if (isOver) return assert.equal(moved, 4)
        revert(there)
        await moveAgain(here, there, apart(folder))
        assert.deepEqual(idsIn(there), sent, `before call ${before}`)
        assert.deepEqual(idsIn(here), [])
      })
    }
    assert.ok(failures > 10, `${failures} moves failed`)
  })
}

test('a move between two real filesystems fails when its destination is moved away, and the next move finishes it', async t => {
  if (statSync(tmpdir()).dev === statSync(fastDisk).dev) return t.diagnostic('there is one filesystem only')
  await inFolder(
    there =>
      inFolder(async here => {
        let listed = 0
        const pooled = async (call: keyof FileCalls, _path: string, to: string) => {
          if (call === 'rename' && to.startsWith(join(there, 'queue/')) && ++listed === 700) {
            renameSync(join(there, 'queue'), join(there, 'away'))
          }
        }
        const fileSystem = { ...interfered({ pooled }), placeOf: async () => 'network' as const }
        await using source = await openQueue(here)
        const sent = (await insert(source.queue, 1000)).map(({ id }) => id).sort()
        {
          await using from = await openQueue(here, { fileSystem })
          await using to = await openQueue(there, { fileSystem })
          await assert.rejects(moveAll(from.queue, to.queue), /ENOENT.*tasks are on their way.*the next move from this/)
        }
        faults['whose queue folder is moved away']?.revert(there)
        const hostNowMs = () => Date.now() + 600_000
        const later = { hostNowMs, fileSystem: interfered({ clockMs: hostNowMs }) }
        await using from = await openQueue(here, later)
        await using to = await openQueue(there, later)
        await moveAll(from.queue, to.queue)
        assert.deepEqual(idsIn(there), sent)
        assert.deepEqual([idsIn(here), namesIn(here, 'moved'), namesIn(there, 'arriving')], [[], [], []])
      }),
    fastDisk,
  )
})

test('a stale handle at any call of a move between filesystems loses, duplicates and double-counts nothing', async () => {
  for (let at = 1, isOver = false; !isOver; at++) {
    await inFolder(async folder => {
      const [here, there] = [join(folder, 'here'), join(folder, 'there')]
      await using source = await openQueue(here)
      const sent = (await insert(source.queue, 3)).map(({ id }) => id).sort()
      let calls = 0
      let armed = false
      const options = apart(folder, (call, path) => {
        if (armed && (call === 'rename' || call === 'unlink' || call === 'stat') && ++calls === at)
          throw systemError('ESTALE', path)
      })
      let moved = 0
      {
        await using from = await openQueue(here, options)
        await using to = await openQueue(there, options)
        armed = true
        const moving = from.queue.moveTo?.(to.queue, { signal: new AbortController().signal })
        assert.ok(moving)
        try {
          for await (const some of moving) moved += some
        } catch {
          // The next move finishes it.
        }
      }
      isOver = calls < at
      moved += await moveAgain(here, there, apart(folder))
      // One whose second rename failed is leased for a minute, see stale-claims.ts, in the queue that it is in.
      assert.deepEqual([...idsIn(here), ...idsIn(there)].sort(), sent, `at call ${at}`)
      assert.ok(moved <= idsIn(there).length && moved >= 2, `at call ${at}: ${moved} counted`)
    })
  }
})

/** Moves until just before the first committed task would be listed: as a process that dies or is stopped there. */
async function stopAtArrival(folder: string, here: string, there: string) {
  let goOn = () => undefined as undefined
  const stopped = new Promise<void>(resolve => {
    goOn = () => void resolve()
  })
  let reached = () => undefined as undefined
  const arriving = new Promise<void>(resolve => {
    reached = () => void resolve()
  })
  const options = apart(folder, async (call, path, to) => {
    if (call !== 'rename' || !isArrival(there, path, to)) return
    reached()
    await stopped
  })
  const from = await openQueue(here, options)
  const to = await openQueue(there, options)
  const move = moveAll(from.queue, to.queue).catch((error: unknown) => error)
  await arriving
  const end = async () => {
    goOn()
    const result = await move
    await from[Symbol.asyncDispose]()
    await to[Symbol.asyncDispose]()
    return result
  }
  return { end }
}

const LONG_AGO_SECONDS = 7 * 3600

function makeOld(root: string, part: string): void {
  const old = Date.now() / 1000 - LONG_AGO_SECONDS
  for (const name of namesIn(root, part)) utimesSync(join(root, part, name), old, old)
}

test('tasks that a killed move has committed arrive hours later, also when other processes moved tasks to that queue in between', () =>
  inFolder(async folder => {
    const [here, other, there] = ['here', 'other', 'there'].map(name => join(folder, name)) as [string, string, string]
    await using source = await openQueue(here)
    await using second = await openQueue(other)
    const sent = [...(await insert(source.queue, 3)), ...(await insert(second.queue, 2))].map(({ id }) => id).sort()
    const dead = await stopAtArrival(folder, here, there)
    makeOld(here, 'moved')
    makeOld(there, 'arriving')
    assert.equal(await moveAgain(other, there, apart(folder)), 2)
    assert.equal(await moveAgain(here, there, apart(folder)), 3)
    assert.deepEqual(idsIn(there), sent)
    assert.deepEqual([namesIn(here, 'moved'), namesIn(there, 'arriving')], [[], []])
    // It was only stopped: what it finds finished is not counted again.
    assert.equal(await dead.end(), 0)
    assert.deepEqual(idsIn(there), sent)
    assert.deepEqual([namesIn(here, 'moved'), namesIn(there, 'arriving')], [[], []])
  }))

test('a move that another process took for dead fails at its next step, and the task stays', () =>
  inFolder(async folder => {
    const [here, there] = [join(folder, 'here'), join(folder, 'there')]
    await using source = await openQueue(here)
    const sent = (await insert(source.queue, 1)).map(({ id }) => id).sort()
    let isStopped = false
    const options = apart(folder, async (call, _path, to) => {
      if (isStopped || call !== 'rename' || !to.startsWith(join(here, 'moved/'))) return
      // Before its task changes queues it is stopped, for hours.
      isStopped = true
      makeOld(here, 'moved')
      await using third = await openQueue(here, apart(folder))
      await using target = await openQueue(there, apart(folder))
      assert.equal(await moveAll(third.queue, target.queue), 0)
      assert.deepEqual([namesIn(here, 'moved'), namesIn(there, 'arriving')], [[], []])
    })
    await using from = await openQueue(here, options)
    await using to = await openQueue(there, options)
    await assert.rejects(moveAll(from.queue, to.queue), /another process has ended this move: move again/)
    assert.deepEqual(idsIn(here), sent)
    assert.equal(await moveAgain(here, there, apart(folder)), 1)
    assert.deepEqual(idsIn(there), sent)
  }))

test('tasks in transit to a queue that was removed for good return when `to` is removed, as the error says', () =>
  inFolder(async folder => {
    const [here, there] = [join(folder, 'here'), join(folder, 'there')]
    await using source = await openQueue(here)
    const sent = (await insert(source.queue, 3)).map(({ id }) => id).sort()
    const options = apart(folder, (call, path, to) => {
      if (call === 'rename' && isArrival(there, path, to)) rmSync(there, { recursive: true, force: true })
    })
    {
      await using from = await openQueue(here, options)
      await using to = await openQueue(there, options)
      await assert.rejects(moveAll(from.queue, to.queue), /3 tasks are on their way/)
    }
    const [run] = namesIn(here, 'moved')
    assert.ok(run)
    const remedy = join(here, 'moved', run, 'to')
    await assert.rejects(moveAgain(here, there, apart(folder)), (error: Error) =>
      error.message.includes(`remove ${remedy}`),
    )
    rmSync(remedy)
    assert.equal(await moveAgain(here, there, apart(folder)), 3)
    assert.deepEqual(idsIn(there), sent)
  }))

test('tasks in transit to a queue whose path has changed arrive when they are moved to the new path', () =>
  inFolder(async folder => {
    const [here, there, elsewhere] = [join(folder, 'here'), join(folder, 'there'), join(folder, 'elsewhere')]
    await using source = await openQueue(here)
    const sent = (await insert(source.queue, 3)).map(({ id }) => id).sort()
    const options = apart(folder, (call, path, to) => {
      if (call === 'rename' && isArrival(there, path, to)) throw systemError('EIO', path)
    })
    {
      await using from = await openQueue(here, options)
      await using to = await openQueue(there, options)
      await assert.rejects(moveAll(from.queue, to.queue), /EIO.*3 tasks are on their way/)
    }
    renameSync(there, elsewhere)
    assert.equal(await moveAgain(here, elsewhere, apart(folder)), 3)
    assert.deepEqual(idsIn(elsewhere), sent)
    assert.deepEqual([namesIn(here, 'moved'), namesIn(elsewhere, 'arriving')], [[], []])
  }))

test('a durable move that finishes another move removes no source file before the destination is synced', async () => {
  await inFolder(async folder => {
    const [here, there] = [join(folder, 'here'), join(folder, 'there')]
    const sent: string[] = []
    {
      const failing = apart(folder, (call, path, to) => {
        if (call === 'rename' && isArrival(there, path, to)) throw systemError('EIO', path)
      })
      await using from = await openQueue(here, failing)
      await using to = await openQueue(there, failing)
      sent.push(...(await insert(from.queue, 3)).map(({ id }) => id))
      await assert.rejects(moveAll(from.queue, to.queue), /EIO/)
    }
    const steps: string[] = []
    const { fileSystem } = apart(folder, (call, path, to) => {
      if (call === 'rename' && isArrival(there, path, to)) steps.push('arrival')
      if (call === 'unlink' && path.startsWith(join(here, 'moved/')) && path.endsWith('.json')) steps.push('removal')
    })
    const syncFolder = async (path: string) => {
      await fileSystem.syncFolder(path)
      if (path === join(there, 'queue')) steps.push('sync')
    }
    const durable = { fileSystem: { ...fileSystem, syncFolder }, durable: true }
    await using from = await openQueue(here, durable)
    await using to = await openQueue(there, durable)
    await moveAll(from.queue, to.queue)
    assert.deepEqual(idsIn(there), sent.sort())
    assert.ok(steps.includes('removal'))
    const beforeRemovals = steps.slice(0, steps.indexOf('removal'))
    assert.ok(beforeRemovals.lastIndexOf('sync') > beforeRemovals.lastIndexOf('arrival'), steps.join(', '))
    assert.ok(!steps.slice(steps.indexOf('removal')).includes('arrival'), steps.join(', '))
  })
})
