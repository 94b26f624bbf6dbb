import { checkThatNothingIsLeft } from './nothing-left.js'
import { testRuns } from './runs.js'

checkThatNothingIsLeft()
testRuns(1)
