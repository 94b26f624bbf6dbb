import { createReadStream } from 'node:fs'
import { messageOf } from '../errors/thrown.js'
import type { BareTask } from '../index.js'
import { interruptible } from './interruption.js'
import { linesOf } from './lines.js'
import { numberOption, textOption } from './option-values.js'
import { countOf, jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand, queueArgument, withQueue } from './queue-arguments.js'
import { UsageError } from './usage-error.js'

/** As a file: the standard input. */
const stdin = '-'

/** `ptq insert` */
export const insertCommand = defineCommand({
  command: 'insert <queue> <file>',
  describe: 'Insert tasks: a payload a line, as JSON',
  builder: yargs =>
    queueArgument(yargs)
      .positional('file', { type: 'string', demandOption: true, describe: 'A file with a payload a line; - for stdin' })
      .option('delay-sec', numberOption('--delay-sec', 'No worker gets the tasks before so many seconds have passed'))
      .option(
        'resume',
        textOption('--resume', 'A name for this insert: after an interruption the same command inserts the rest'),
      )
      .option('pack', numberOption('--pack', 'Up to so many tasks in a message', { integer: true, min: 1, max: 1e9 }))
      .option('json', { type: 'boolean', describe: 'Print JSON' })
      .example('# Every line is checked before the first task is inserted\n$0 insert ./queue tasks.ndjson', '')
      .example(
        `# A call of the function hash of tasks\necho '[["tasks","hash"],["a.txt"],{},-1]' | $0 insert ./queue -`,
        '',
      )
      .example(`# A task of the class PrintTask\necho '{"class":"PrintTask","txt":"hello"}' | $0 insert ./queue -`, ''),
  handler: args =>
    withQueue(args.queue, args, async queue => {
      const { file, delaySec, resume, pack } = args
      let total: number | undefined
      if (file !== stdin) {
        total = 0
        for await (const _ of tasksIn(file)) total++
      }
      await interruptible(async signal => {
        const inserted = await queue.insert(tasksIn(file, signal), {
          ...(total !== undefined && { total }),
          ...(delaySec !== undefined && { delaySeconds: delaySec }),
          ...(resume !== undefined && { resume }),
          ...(pack !== undefined && { pack }),
        })
        if (args.json) await (await jsonPrinter())({ inserted })
        else await printLine(`Inserted ${countOf(inserted)} into ${printable(queue.url)}`)
      })
    }),
})

/** The tasks of a file. @throws UsageError that names the line which is no payload; Error after an abort */
async function* tasksIn(file: string, signal?: AbortSignal): AsyncGenerator<BareTask, void, undefined> {
  const { parseJson } = await import('../index.js')
  const { taskFromJson } = await import('../tasks/task-from-json.js')
  const name = file === stdin ? 'stdin' : file
  let number = 0
  for await (const line of linesOf(file === stdin ? process.stdin : createReadStream(file), name, signal)) {
    // A plain return would look like the end of the file, and the named insert would count as complete.
    if (signal?.aborted) throw new Error('interrupted')
    number++
    if (line.trim() === '') continue
    try {
      yield taskFromJson(parseJson(line.replace(/^\ufeff/, '')))
    } catch (cause) {
      const reason = messageOf(cause)
      throw new UsageError(`Line ${number} of ${name} is no payload: ${reason}`, { cause })
    }
  }
  if (signal?.aborted) throw new Error('interrupted')
}
