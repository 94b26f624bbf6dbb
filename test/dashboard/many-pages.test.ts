// What open pages cost the queue: calls of its filesystem, counted.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { interfered } from '../fq/test-files.js'
import { inFolder, Served } from './served.js'
import { openStream, sampleWhere } from './stream.js'
import { fail, quick } from './tasks.js'

const pages = 10

/** A page on a queue with tasks and dead letters, whose first numbers are read, and the number of calls of its filesystem so far. */
async function withCounted(
  intervalSeconds: number,
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
    await using served = await Served.start(queue, { intervalSeconds })
    const cookie = await served.signIn()
    await sampleWhere(served, cookie, 0, ({ counts }) => counts !== undefined)
    await work(served, cookie, () => calls)
  })
}

it(`${pages} open pages read the queue no more often than one`, () =>
  withCounted(0.1, async (served, cookie, calls) => {
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
    const one = await between(3)
    const received: number[] = Array.from({ length: pages - 1 }, () => 0)
    const closes = received.map((_, page) =>
      openStream(served, cookie, () => {
        received[page] = (received[page] ?? 0) + 1
      }),
    )
    const ten = await between(3)
    for (const close of closes) close()
    assert.ok(Math.max(...one) > 0, String(one))
    // Now and then a sample has a call more, which reads the clock; pages that read for themselves add calls to each.
    assert.ok(Math.min(...ten) <= Math.max(...one), `${ten} with ${pages} pages, ${one} with one`)
    for (const count of received) assert.ok(count >= 3, `each page gets the samples: ${received}`)
  }))

it(`${pages} pages that ask for failures at once read the dead letters once`, async () => {
  const costs: number[] = []
  for (const count of [1, pages]) {
    // The numbers are not read meanwhile.
    await withCounted(600, async (served, cookie, calls) => {
      const before = calls()
      const ask = () => served.read<{ total: number }>('/failures?queue=0', cookie)
      for (const { total } of await Promise.all(Array.from({ length: count }, ask))) assert.equal(total, 20)
      costs.push(calls() - before)
    })
  }
  const [one = 0, ten = 0] = costs
  // Now and then there is a call more, which reads the clock.
  assert.ok(one > 0 && ten < 2 * one, `${ten} calls for ${pages} pages, ${one} for one`)
})
