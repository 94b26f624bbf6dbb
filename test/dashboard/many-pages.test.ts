// What open pages cost the queue: calls of its filesystem, counted.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { interfered } from '../fq/test-files.js'
import { inFolder, Served } from './served.js'
import { openStream } from './stream.js'
import { fail, quick } from './tasks.js'

const pages = 10

/** A page on a queue with tasks and dead letters, and the number of calls of its filesystem so far. */
async function withCounted(
  work: (served: Served, cookie: string, calls: () => number) => Promise<void>,
): Promise<void> {
  await inFolder(async folder => {
    {
      await using filling = new TaskQueue(`fq://${folder}/queue`, { progress: false })
      await filling.insert(Array.from({ length: 20 }, (_, n) => partial(fail, `reason ${n}`)))
      await filling.poll({ parallel: 0, untilEmpty: true, maxAttempts: 1 })
      await filling.insert(Array.from({ length: 20 }, (_, n) => partial(quick, n)))
    }
    let calls = 0
    const fileSystem = interfered({
      either: () => {
        calls++
      },
    })
    await using queue = new TaskQueue(`fq://${folder}/queue`, { progress: false, fileSystem })
    await using served = await Served.start(queue, { intervalSeconds: 0.1 })
    await work(served, await served.signIn(), () => calls)
  })
}

it(`${pages} open pages read the queue no more often than one`, () =>
  withCounted(async (served, cookie, calls) => {
    /** The calls between each two of the next samples. */
    const between = (samples: number) =>
      new Promise<number[]>(resolve => {
        const counts: number[] = []
        let last: number | undefined
        const close = openStream(served, cookie, () => {
          if (last !== undefined) counts.push(calls() - last)
          last = calls()
          if (counts.length < samples) return
          close()
          resolve(counts)
        })
      })
    // The first has the last sample, which is sent at once.
    const one = await between(6)
    const received: number[] = Array.from({ length: pages - 1 }, () => 0)
    const closes = received.map((_, page) =>
      openStream(served, cookie, () => {
        received[page] = (received[page] ?? 0) + 1
      }),
    )
    const ten = await between(6)
    for (const close of closes) close()
    assert.ok(Math.max(...one) > 0, String(one))
    // Now and then a sample has a call more, which reads the clock; pages that read for themselves add calls to each.
    assert.ok(Math.min(...ten) <= Math.max(...one), `${ten} with ${pages} pages, ${one} with one`)
    for (const count of received) assert.ok(count >= 6, `each page gets the samples: ${received}`)
  }))

it(`${pages} pages that ask for failures at once read the dead letters once`, () =>
  withCounted(async (served, cookie, calls) => {
    const ask = () => served.read<{ total: number }>('/failures?queue=0', cookie)
    const before = calls()
    assert.equal((await ask()).total, 20)
    const one = calls() - before
    const then = calls()
    const reports = await Promise.all(Array.from({ length: pages }, ask))
    for (const { total } of reports) assert.equal(total, 20)
    // A reading of the numbers may fall between.
    assert.ok(calls() - then <= one + 20, `${calls() - then} calls for ${pages} pages, ${one} for one`)
  }))
