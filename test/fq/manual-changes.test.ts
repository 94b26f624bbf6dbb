import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LeaseLostError } from 'ptq'
import { until } from '../cli/run-cli.js'
import { inQueue } from './folder.js'
import { failure, insert, leaseNow, leaseOne, message, namesIn } from './messages.js'
import { settableClock } from './test-files.js'

test('find and sed change queued tasks in place', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 20)
    const found = execFileSync('find', [join(root, 'queue'), '-name', '0--*.json'])
      .toString()
      .trim()
      .split('\n')
    assert.equal(found.length, 20)
    for (const path of found) {
      const edited = execFileSync('sed', ['s/noop/busy/', path])
      execFileSync('tee', [path], { input: edited })
    }
    const leases = await leaseNow(queue, 20)
    assert.equal(leases.filter(({ body }) => body.includes('"busy"')).length, 20)
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])
  }))

test('sed -i during a drain: each task runs with its whole text, old or new', () =>
  inQueue(async (queue, root) => {
    const sent = (await insert(queue, 400)).map(({ id }) => id)
    const edit = ['queue', '-name', '0--*.json', '-exec', 'sed', '-i', 's/noop/busy/', '{}', ';']
    // It fails for files that the worker was faster with, which is no matter.
    const sed = spawn('find', edit, { cwd: root, stdio: 'ignore' })
    let editing = true
    const ended = once(sed, 'exit').then(() => {
      editing = false
    })
    const isEdited = (name: string) => readFileSync(join(root, 'queue', name), 'utf8').includes('busy')
    // However late the editor starts: the worker meets what it has edited.
    await until(() => namesIn(root, 'queue').some(name => name.startsWith('0--') && isEdited(name)))
    const runs = new Map<string, number>()
    const edited = new Set<string>()
    for (;;) {
      const wasEditing = editing
      const leases = await leaseNow(queue, 2)
      for (const { id, body } of leases) {
        assert.deepEqual(JSON.parse(body.replace('busy', 'noop')), JSON.parse(message(root, id).body))
        if (body.includes('busy')) edited.add(id)
        runs.set(id, (runs.get(id) ?? 0) + 1)
      }
      assert.deepEqual(await queue.delete(leases, { tally: true }), [])
      if (leases.length === 0 && !wasEditing) break
      // Keeps pace with the editor, so that both work on the same part of the folder until the end.
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    await ended
    assert.deepEqual([...runs.keys()].sort(), sent.sort())
    assert.ok(edited.size > 0, 'some were edited before they were run')
    // The file that sed puts back is a task again.
    const total = [...runs.values()].reduce((sum, count) => sum + count, 0)
    assert.equal((await queue.counts()).completed, total)
    assert.equal((await queue.counts()).enqueued, 0)
  }))

test('mv reschedules a task and ends the lease of its holder', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1)
    const id = sent?.id ?? ''
    const move = (time: number) => {
      const [name = ''] = namesIn(root, 'queue')
      renameSync(join(root, 'queue', name), join(root, 'queue', `${time}--${id}.json`))
    }
    move(clock.seconds + 100)
    assert.deepEqual(await leaseNow(queue), [])
    clock.seconds += 100
    const stale = await leaseOne(queue, 1000)
    move(0)
    const [lost] = await queue.renew([stale], 60)
    assert.ok(lost?.error instanceof LeaseLostError)
    const lease = await leaseOne(queue, 60)
    assert.deepEqual(await queue.delete([lease], { tally: true }), [])
    assert.deepEqual(namesIn(root, 'movement'), [])
  }, options)
})

test('rm of a task ends the lease of its holder; rm of completions restarts that counter', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 3)
    const [first, second, third] = await leaseNow(queue, 3)
    assert.ok(first && second && third)
    assert.deepEqual(await queue.delete([first], { tally: true }), [])
    rmSync(join(root, 'completions'))
    assert.equal((await queue.counts()).completed, 0)
    for (const name of namesIn(root, 'queue').filter(name => name.includes(second.id)))
      rmSync(join(root, 'queue', name))
    const failures = await queue.delete([second, third], { tally: true })
    assert.equal(failures.length, 1)
    assert.equal((await queue.counts()).completed, 1)
  }))

test('rm -r of the records deletes the history, and nothing else', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    await insert(queue, 3)
    const remove = () => {
      for (const part of ['movement', 'failures', 'staging']) rmSync(join(root, part), { recursive: true, force: true })
    }
    for (const [delaySeconds, failed] of [
      [0, undefined],
      [30, undefined],
      [30, failure(1)],
    ] as const) {
      await leaseNow(queue, 3)
      clock.seconds += 62
      const leases = await leaseNow(queue, 3)
      assert.equal(leases.length, 3)
      remove()
      const options = failed === undefined ? { delaySeconds } : { delaySeconds, failure: failed }
      assert.deepEqual(await queue.release(leases, options), [])
      clock.seconds += 62
    }
    const leases = await leaseNow(queue, 3)
    remove()
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])
    assert.equal((await queue.counts()).completed, 3)
  }, options)
})
