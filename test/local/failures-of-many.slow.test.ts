// Each way to fail, in threads that run several tasks each.
import { testEachWay } from './failing-ways.js'
import { checkThatNothingIsLeft } from './nothing-left.js'

checkThatNothingIsLeft()
testEachWay(2, 3)
