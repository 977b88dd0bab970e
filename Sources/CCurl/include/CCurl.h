// SPDX-License-Identifier: Apache-2.0
//
// libcurl, without the calls that Swift cannot make: curl_easy_setopt and its kin are variadic.
// Here each takes the one type that its option wants, and answers what libcurl answers.
#ifndef SANDBOXD_CCURL_H
#define SANDBOXD_CCURL_H

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

/// Takes bytes that have come (a whole line of the header, or a piece of the body). Another answer
/// than `count` ends the transfer.
typedef size_t (*ccurl_take)(const char *_Nonnull bytes, size_t size, size_t count,
                             void *_Nullable context);

/// Fills `bytes` with the next of the request's body, at most `count`. 0 is its end;
/// CURL_READFUNC_PAUSE and CURL_READFUNC_ABORT are answers too.
typedef size_t (*ccurl_give)(char *_Nonnull bytes, size_t size, size_t count,
                             void *_Nullable context);

/// Makes the connection's socket, unconnected, or answers CURL_SOCKET_BAD.
typedef curl_socket_t (*ccurl_open)(void *_Nullable context, curlsocktype purpose,
                                    struct curl_sockaddr *_Nonnull address);

/// Closes a socket that `ccurl_open` made. Answers 0.
typedef int (*ccurl_close)(void *_Nullable context, curl_socket_t socket);

/// Says what to wait for on a socket (CURL_POLL_…).
typedef int (*ccurl_watch)(CURL *_Nonnull easy, curl_socket_t socket, int what,
                           void *_Nullable context, void *_Nullable socket_context);

/// Says when to call curl_multi_socket_action without an event; -1 is never.
typedef int (*ccurl_schedule)(CURLM *_Nonnull multi, long milliseconds, void *_Nullable context);

/// curl_easy_setopt, by the type of the option's value. Texts are copied, lists and pointers are
/// not: they live as long as the handle uses them.
CURLcode ccurl_set_long(CURL *_Nonnull easy, CURLoption option, long value);
CURLcode ccurl_set_text(CURL *_Nonnull easy, CURLoption option, const char *_Nonnull value);
CURLcode ccurl_set_list(CURL *_Nonnull easy, CURLoption option, struct curl_slist *_Nullable value);
CURLcode ccurl_set_pointer(CURL *_Nonnull easy, CURLoption option, void *_Nullable value);

/// The request's body: `count` bytes, which libcurl copies.
CURLcode ccurl_set_body(CURL *_Nonnull easy, const void *_Nonnull bytes, size_t count);

/// Where the header's lines and the body's pieces go.
CURLcode ccurl_set_takers(CURL *_Nonnull easy, ccurl_take _Nonnull header, ccurl_take _Nonnull body,
                          void *_Nullable context);

/// Where the request's body comes from.
CURLcode ccurl_set_giver(CURL *_Nonnull easy, ccurl_give _Nonnull give, void *_Nullable context);

/// Who makes the connection's socket, and who closes it. A socket outlives its transfer, and so
/// must `close_context`.
CURLcode ccurl_set_sockets(CURL *_Nonnull easy, ccurl_open _Nonnull open,
                           void *_Nullable open_context, ccurl_close _Nonnull close,
                           void *_Nullable close_context);

/// A socket for `address`, close-on-exec, on which nothing waits. Answers its number, the caller's,
/// or -errno.
int ccurl_socket(const struct curl_sockaddr *_Nonnull address);

/// The user that listens at the other end of a connected Unix socket (SO_PEERCRED; struct ucred is
/// hidden by Swift's Glibc module). Answers 0, or -errno.
int ccurl_peer_user(int socket, uint32_t *_Nonnull ret_user);

/// The errno of a connection that was refused; 0 when none was.
int ccurl_connect_errno(CURL *_Nonnull easy);

/// Who is told of sockets and times, and how many connections are kept at most.
CURLMcode ccurl_set_multi(CURLM *_Nonnull multi, ccurl_watch _Nonnull watch,
                          ccurl_schedule _Nonnull schedule, void *_Nullable context,
                          long connections);

/// Whether a message of curl_multi_info_read tells of a transfer's end, and how it ended.
int ccurl_is_done(const CURLMsg *_Nonnull message, CURLcode *_Nonnull ret_result);

#endif
