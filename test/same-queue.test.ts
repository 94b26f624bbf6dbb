/** A file queue under another path is the same queue: none is its own source, destination or dead-letter queue. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { partial, queueable, TaskQueue } from 'ptq'
import { inFolder } from './fq/folder.js'

const noWork = queueable(function noWorkOfSameQueue(): number {
  return 0
})

/** Every verb with two queues, each refused where `alias` is `queue`. */
const verbs: Record<string, (queue: TaskQueue, alias: TaskQueue) => Promise<unknown>> = {
  insert: (queue, alias) => queue.insert(alias),
  copyTo: (queue, alias) => queue.copyTo(alias),
  moveTo: (queue, alias) => queue.moveTo(alias),
  poll: (queue, alias) => queue.poll({ parallel: 0, untilEmpty: true, deadLetter: alias.url }),
  retry: (queue, alias) => queue.retry({ deadLetter: alias.url }),
  failures: async (queue, alias) => {
    for await (const _ of queue.failures({ deadLetter: alias.url })) assert.fail('a dead letter')
  },
}

for (const [verb, call] of Object.entries(verbs)) {
  test(`${verb} refuses its own queue under another path, also if its folder does not exist yet`, () =>
    inFolder(async folder => {
      mkdirSync(join(folder, 'real'))
      symlinkSync(join(folder, 'real'), join(folder, 'link'))
      for (const isMade of [false, true]) {
        await using queue = new TaskQueue(join(folder, 'real', 'queue-of-test'), { progress: false })
        await using alias = new TaskQueue(join(folder, 'link', 'queue-of-test'), { progress: false })
        if (isMade) await queue.insert([partial(noWork), partial(noWork)])
        await assert.rejects(call(queue, alias), { name: 'TypeError', message: /to be another queue than fq:.*real/ })
        assert.deepEqual(readdirSync(join(folder, 'real')), isMade ? ['queue-of-test'] : [])
        if (isMade) assert.equal(await queue.enqueued(), 2)
      }
      // A link to the queue's own folder.
      symlinkSync(join(folder, 'real', 'queue-of-test'), join(folder, 'queue-link'))
      await using queue = new TaskQueue(join(folder, 'queue-link'), { progress: false })
      await using alias = new TaskQueue(join(folder, 'real', 'queue-of-test'), { progress: false })
      await assert.rejects(call(queue, alias), {
        name: 'TypeError',
        message: /to be another queue than fq:.*queue-link/,
      })
      assert.equal(await alias.enqueued(), 2)
    }))
}
