/** A program without traces, which inserts and runs tasks in each way, and prints what of OpenTelemetry was loaded. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalTaskQueue, partial, TaskQueue } from 'ptq'
import { loadedModules, look } from './untraced-tasks.js'

const folder = mkdtempSync(join(tmpdir(), 'ptq-untraced-'))
const tasks: unknown[] = []
{
  await using queue = new TaskQueue(`fq://${folder}/queue`, { progress: false })
  queue.events.on('succeeded', ({ value }) => tasks.push(value))
  await queue.insert([partial(look, 'inline')])
  await queue.insert([partial(look, 'thread')], { parallel: 1 })
  const bodies = readdirSync(join(folder, 'queue/queue')).map(name =>
    readFileSync(join(folder, 'queue/queue', name), 'utf8'),
  )
  const traced = bodies.filter(body => body.includes('traceparent')).length
  await queue.poll({ parallel: 0, untilEmpty: true, stopFn: ({ executed }) => executed === 1 })
  await queue.poll({ parallel: 1, untilEmpty: true })
  await using lq = new LocalTaskQueue({ parallel: 1, progress: false })
  tasks.push(await lq.run(partial(look, 'local')))
  console.log(JSON.stringify({ main: loadedModules(), tasks, traced }))
}
rmSync(folder, { recursive: true })
