import { interruptible } from './interruption.js'
import { numberOption, textOption } from './option-values.js'
import { drained } from './printing.js'
import { defineCommand, queueArgument, withQueue } from './queue-arguments.js'

/** `ptq log` */
export const logCommand = defineCommand({
  command: 'log <queue> <id>',
  describe: 'Print what a command of the queue wrote; follows one that runs',
  builder: yargs =>
    queueArgument(yargs)
      .positional('id', { type: 'string', demandOption: true, describe: 'As ls prints it, or its unique beginning' })
      .option('attempt', numberOption('--attempt', 'Of this attempt (default: the last)', { integer: true, min: 1 }))
      .option('follow', {
        type: 'boolean',
        default: true,
        describe: 'Go on until the command ends; --no-follow: so far',
      })
      .option('log-folder', textOption('--log-folder', "Where the workers keep output (default: the queue's own logs)"))
      .example('$0 log ./queue 0f8fad5b', ''),
  handler: args =>
    withQueue(args.queue, args, queue =>
      interruptible(
        async signal => {
          const { id, attempt, follow, logFolder } = args
          const output = queue.taskOutput(id, {
            follow,
            signal,
            ...(attempt !== undefined && { attempt }),
            ...(logFolder !== undefined && { logFolder }),
          })
          for await (const { stream, bytes } of output) {
            if (!process[stream].write(bytes)) await drained(process[stream])
          }
        },
        { quiet: true },
      ),
    ),
})
