// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd canary bucket`: where an id falls.
struct CanaryBucket: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bucket",
        abstract: "Prints the bucket of each id, 0 to 9999, for ever the same.",
        discussion: "An id is inside of a percentage when its bucket is below 100 times that."
    )

    @Argument(help: "Task ids.")
    var ids: [String] = []

    func run() throws {
        do throws(ClientError) {
            for id in ids {
                try Canary.checkID(id)
                Terminal.print("\(Canary.bucket(of: id)) \(Terminal.printable(id))")
            }
        } catch {
            Terminal.say("sandboxd: \(error)")
            throw ExitCode.validationFailure
        }
    }
}
