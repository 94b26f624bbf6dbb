import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { partial } from 'ptq'
import { inFolder, openQueue } from '../fq/folder.js'
import { message } from '../fq/messages.js'
import { interfered } from '../fq/test-files.js'
import { inQueue, numbersIn, pooledQueue } from './purged-queue.js'
import { Numbers, numbered } from './sequences.js'

describe('a purge during a bulk insert', () => {
  it('ends an unnamed insert too', () =>
    inFolder(async folder => {
      await using opened = await openQueue(join(folder, 'queue-of-test'))
      const { queue } = opened
      const uploads = queue.uploads
      assert.ok(uploads !== undefined)
      const { run } = await uploads.begin(undefined, { seed: '0'.repeat(32), sequence: 'any', total: 1 })
      assert.deepEqual(await uploads.insert(run, 0, [message(folder)], { delaySeconds: 0 }), [])
      await queue.purge({ native: false })
      const gone = /is gone: another process took this upload up, or the queue was purged/
      await assert.rejects(uploads.insert(run, 1, [message(folder)], { delaySeconds: 0 }), gone)
      await assert.rejects(uploads.counted(run, 1), gone)
      await assert.rejects(uploads.finish(run), gone)
    }))

  it('that moves the new folder of an insert, as over a network, makes it create the folder again', () =>
    inQueue(async (tq, root) => {
      let taken = 0
      await using uploading = pooledQueue(root, async (call, path, to) => {
        if (call !== 'rename' || !to.startsWith(join(root, 'uploads')) || !path.includes('upload.') || taken > 0) return
        taken++
        rmSync(path, { recursive: true })
      })
      assert.equal(await uploading.insert(new Numbers(0, 5), { resume: 'job' }), 5)
      assert.equal(taken, 1)
      assert.equal((await numbersIn(tq)).length, 5)
    }))

  it('of a queue that is removed at the same time ends the insert with an error', () =>
    inQueue(async (_tq, root) => {
      await using uploading = pooledQueue(root, async (call, path) => {
        if (call === 'rename' && path.includes('upload.')) rmSync(root, { recursive: true, force: true })
      })
      await assert.rejects(uploading.insert(new Numbers(0, 5), { resume: 'job' }), /Beginning an upload failed/)
    }))

  it('ends an insert of another host that still sees its folder', () =>
    inFolder(async folder => {
      const root = join(folder, 'queue-of-test')
      const real = interfered({})
      const known = new Map<string, ReturnType<typeof real.pooled.stat>>()
      const stat = (path: string) => {
        const answer = known.get(path) ?? real.pooled.stat(path)
        known.set(path, answer)
        return answer
      }
      await using opened = await openQueue(root, {
        durable: true,
        fileSystem: { ...real, pooled: { ...real.pooled, stat } },
      })
      const { uploads } = opened.queue
      assert.ok(uploads !== undefined)
      const { run } = await uploads.begin(undefined, { seed: '0'.repeat(32), sequence: 'any', total: 1 })
      await stat(join(root, 'uploads', run))
      await using other = await openQueue(root)
      await other.queue.purge({ native: false })
      const gone = /is gone: another process took this upload up, or the queue was purged/
      await assert.rejects(uploads.insert(run, 0, [message(folder)], { delaySeconds: 0 }), gone)
    }))

  it('ends although another host writes once more into the folder under its old name', () =>
    inQueue(async (tq, root) => {
      await tq.insert(new Numbers(0, 5), { resume: 'job' })
      let late = 2
      await using purging = pooledQueue(root, async (call, path) => {
        if (call === 'removeFolder' && path.includes('removed.') && late-- > 0) writeFileSync(join(path, 'late'), '')
      })
      await purging.purge()
      assert.ok(late < 0)
      assert.deepEqual(readdirSync(join(root, 'staging')), [])
      assert.ok(!existsSync(join(root, 'uploads')))
    }))

  it('ends while other inserts continue', () =>
    inQueue(async (tq, root) => {
      await tq.insert(new Numbers(0, 5))
      let readings = 0
      await using purging = pooledQueue(root, async (call, path) => {
        if (call !== 'openFolder' || path !== join(root, 'queue')) return
        if (++readings > 1_000) throw new Error('it reads the folder on and on')
        writeFileSync(join(path, `0--${message(root).id}.json`), '{}')
      })
      await purging.purge()
      assert.equal(await tq.inserted(), 0)
    }))
})

describe('a purge beside an insert with a delay', () => {
  it('between the record and the task: the task is delayed, not leased', () =>
    inQueue(async (tq, root) => {
      const recorded = gate()
      const purged = gate()
      await using inserting = pooledQueue(root, async (call, _path, to) => {
        if (call !== 'rename' || !to.startsWith(join(root, 'queue'))) return
        recorded.open()
        await purged.opened
      })
      await tq.insert(partial(numbered, 0), { delaySeconds: 1_000 })
      const inserted = inserting.insert(partial(numbered, 1), { delaySeconds: 1_000 })
      await recorded.opened
      await tq.purge()
      purged.open()
      await inserted
      const { enqueued, delayed, leased } = await tq.status()
      assert.deepEqual({ enqueued, delayed, leased }, { enqueued: 1, delayed: 1, leased: 0 })
      assert.equal(readdirSync(join(root, 'movement')).length, 1)
    }))
})

describe('a bulk insert that finds a foreign file in place of its folder', () => {
  it('starts again where an interrupted removal left the folder of a run', () =>
    inQueue(async (tq, root) => {
      mkdirSync(join(root, 'uploads', 'job', message(root).id), { recursive: true })
      assert.equal(await tq.insert(new Numbers(0, 5), { resume: 'job' }), 5)
      assert.equal(await tq.insert(new Numbers(0, 5), { resume: 'job' }), 0)
    }))

  it('names a file that is not a run', () =>
    inQueue(async (tq, root) => {
      mkdirSync(join(root, 'uploads', 'job'), { recursive: true })
      writeFileSync(join(root, 'uploads', 'job', 'notes.txt'), '')
      await assert.rejects(
        tq.insert(new Numbers(0, 5), { resume: 'job' }),
        /Expected the folder of an upload's run in .*job, found notes\.txt\. Remove .*job to begin/,
      )
      assert.equal(await tq.enqueued(), 0)
    }))

  it('reports a truncated head file', () =>
    inQueue(async (tq, root) => {
      const run = join(root, 'uploads', 'job', message(root).id)
      mkdirSync(run, { recursive: true })
      writeFileSync(join(run, 'upload.json'), '{"seed": "01')
      await assert.rejects(
        tq.insert(new Numbers(0, 5), { resume: 'job' }),
        /Expected the head of an upload in .*upload\.json, got no JSON\. Remove /,
      )
    }))
})

describe('a bulk insert that is taken over while its owner completes it', () => {
  for (const reached of ['counted.new', 'finished.new']) {
    it(`just before ${reached} is renamed stores and counts each task once`, () =>
      inQueue(async (tq, root) => {
        const total = 20
        const [owner, heir, renamed, taking] = [gate(), gate(), gate(), gate()]
        const isRun = (path: string) => /uploads\/job\/[0-9a-f-]{36}$/.test(path)
        await using first = pooledQueue(root, async (call, path) => {
          if (call === 'rename' && path.endsWith(reached)) {
            owner.open()
            await renamed.opened
          }
        })
        await using second = pooledQueue(root, async (call, path, to) => {
          if (call === 'rename' && isRun(path) && isRun(to)) {
            heir.open()
            await taking.opened
          }
        })
        const ending = first.insert(new Numbers(0, total), { resume: 'job' })
        await owner.opened
        const takingOver = second.insert(new Numbers(0, total), { resume: 'job' })
        await heir.opened
        renamed.open()
        assert.equal(await ending, total)
        // Workers have finished all of them.
        await tq.delete(await tq.lease({ numTasks: total, seconds: 600 }), { tally: true })
        taking.open()
        assert.equal(await takingOver, 0)
        assert.deepEqual(await numbersIn(tq), [])
        assert.equal(await tq.inserted(), total)
      }))
  }
})

function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { open, opened }
}
