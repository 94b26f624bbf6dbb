import { interruptible } from './interruption.js'
import { textOption } from './option-values.js'
import { jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand, queueArgument, queueUrl, withQueue } from './queue-arguments.js'
import { UsageError } from './usage-error.js'

/** `ptq results` */
export const resultsCommand = defineCommand({
  command: 'results <queue> [run]',
  describe: 'Print the outcomes of a run of map as JSON, one a line; without a run, the names of all',
  builder: yargs =>
    queueArgument(yargs)
      .positional('run', { type: 'string', describe: 'The name that map was given' })
      .option('wait', { type: 'boolean', describe: 'Go on until each task of the run has ended' })
      .option('drop', { type: 'boolean', describe: 'Remove the outcomes of the run instead' })
      .option('results', textOption('--results', 'The queue that keeps them, where that is another one'))
      .example('$0 results ./queue monday', '')
      .example('$0 results ./queue monday --drop', ''),
  handler: args =>
    withQueue(args.queue, args, queue =>
      interruptible(
        async signal => {
          const { run, wait = false } = args
          const place = args.results === undefined ? {} : { results: queueUrl(args.results) }
          if (run === undefined) {
            if (args.drop || wait)
              throw new UsageError('Expected the name of a run: ptq results QUEUE prints those there are')
            for (const name of await queue.resultRuns(place)) await printLine(printable(name))
          } else if (args.drop) {
            await queue.dropResults(run, place)
          } else {
            const printJson = await jsonPrinter()
            for await (const result of queue.results(run, { ...place, wait, signal })) {
              const { index, id, ok } = result
              await printJson(
                result.ok ? { index, id, ok, value: result.value } : { index, id, ok, error: result.error.message },
              )
            }
          }
        },
        { quiet: true },
      ),
    ),
})
