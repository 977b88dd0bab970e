// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1

/// The server's side of one plain request: what it answers goes to the client.
final class PlainServer: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let client: ChannelHandlerContext
    /// The version that the client speaks.
    private let version: HTTPVersion
    private var context: ChannelHandlerContext?
    /// Called when it can be written to again.
    var onWritable: () -> Void = {}
    /// Whether no more of the answer comes: all of it is on its way to the client, which is closed
    /// behind it, or it has broken off.
    private var isOver = false

    init(client: ChannelHandlerContext, version: HTTPVersion) {
        self.client = client
        self.version = version
    }

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        onWritable = {}
    }

    // MARK: From the client

    func send(_ part: HTTPServerRequestPart) {
        let sent: HTTPClientRequestPart =
            switch part {
            case .head(let head): .head(head)
            case .body(let bytes): .body(.byteBuffer(bytes))
            case .end: .end(nil)
            }
        context?.write(wrapOutboundOut(sent), promise: nil)
    }

    func flush() { context?.flush() }

    func close() { context?.close(promise: nil) }

    // MARK: To the client

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        switch unwrapInboundIn(data) {
        case .head(var head):
            // An old server's answer is as long as its connection. To a client that knows of chunks its
            // end is one, so that an answer that breaks off shows.
            if version == .http1_1 { head.version = version }
            for name in ["connection", "keep-alive", "upgrade"] { head.headers.remove(name: name) }
            head.headers.add(name: "Connection", value: "close")
            answer(.head(head))
        case .body(let bytes): answer(.body(.byteBuffer(bytes)))
        case .end:
            isOver = true
            let client = NIOLoopBound(client, eventLoop: client.eventLoop)
            self.client.writeAndFlush(NIOAny(HTTPServerResponsePart.end(nil)))
                .whenComplete { _ in client.value.close(promise: nil) }
            context.close(promise: nil)
        }
    }

    private func answer(_ part: HTTPServerResponsePart) {
        client.write(NIOAny(part), promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        client.flush()
        readMore()
    }

    /// Reads on, as soon as the client takes more.
    func readMore() {
        if client.channel.isWritable { context?.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { onWritable() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        // An answer that breaks off shows as one: its length or its last chunk is missing.
        if !isOver { client.close(promise: nil) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What ends by an error has no end, though it may look like one: of an answer over TLS that
        // is as long as its connection, anybody on the way can cut something off.
        if !isOver {
            isOver = true
            client.close(promise: nil)
        }
        context.close(promise: nil)
    }
}
